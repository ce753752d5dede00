"""OBS's encoders: which one makes a codec on a GPU, and how each is told to do it for a ladder.

Key frames of all tracks have to come together, so that players can change from one to another: none where
the picture changes, and none but each so many seconds. Without B-frames and looking ahead nothing waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from rtmpd.multitrack.ladder import Codec
from rtmpd.multitrack.question import Question

Setting = str | int | bool


class Family(StrEnum):
    """Whose encoders, as people name them."""

    X264 = "x264"
    NVENC = "nvenc"
    AMF = "amf"
    QSV = "qsv"
    VAAPI = "vaapi"


_VENDORS: Final = {4318: Family.NVENC, 4098: Family.AMF, 32902: Family.QSV}
_IDS: Final[Mapping[tuple[Family, Codec], str]] = {
    (Family.X264, Codec.H264): "obs_x264",
    (Family.X264, Codec.AV1): "ffmpeg_svt_av1",
    (Family.NVENC, Codec.H264): "obs_nvenc_h264_tex",
    (Family.NVENC, Codec.HEVC): "obs_nvenc_hevc_tex",
    (Family.NVENC, Codec.AV1): "obs_nvenc_av1_tex",
    (Family.AMF, Codec.H264): "h264_texture_amf",
    (Family.AMF, Codec.HEVC): "h265_texture_amf",
    (Family.AMF, Codec.AV1): "av1_texture_amf",
    (Family.QSV, Codec.H264): "obs_qsv11_v2",
    (Family.QSV, Codec.HEVC): "obs_qsv11_hevc",
    (Family.QSV, Codec.AV1): "obs_qsv11_av1",
    (Family.VAAPI, Codec.H264): "ffmpeg_vaapi_tex",
    (Family.VAAPI, Codec.HEVC): "hevc_ffmpeg_vaapi_tex",
    (Family.VAAPI, Codec.AV1): "av1_ffmpeg_vaapi_tex",
}
_BEFORE_31: Final = {
    "obs_nvenc_h264_tex": "jim_nvenc",
    "obs_nvenc_hevc_tex": "jim_hevc_nvenc",
    "obs_nvenc_av1_tex": "jim_av1_nvenc",
}
"""What OBS 30 called them."""
_TOLD: Final = {Codec.H264: "h264", Codec.HEVC: "h265", Codec.AV1: "av1"}
"""What OBS calls codecs."""
_SETTINGS: Final[Mapping[Family, Mapping[str, Setting]]] = {
    Family.X264: {"preset": "veryfast", "tune": "zerolatency", "bf": 0, "x264opts": "scenecut=0"},
    Family.NVENC: {
        "preset": "p5",
        "tune": "ll",
        "multipass": "qres",
        "lookahead": False,
        "adaptive_quantization": True,
        "bf": 0,
    },
    Family.AMF: {"preset": "balanced", "bf": 0},
    Family.QSV: {"target_usage": "TU4", "latency": "ultra-low", "bframes": 0},
    Family.VAAPI: {"bf": 0},
}
_SVT_AV1: Final[Mapping[str, Setting]] = {"preset": 10, "ffmpeg_opts": "svtav1-params=pred-struct=1:rc=2"}
"""By itself it looks ahead for seconds, in which OBS holds all tracks back, and has no constant rate."""
_FRAMES: Final[Mapping[str, tuple[str, str]]] = {
    "obs_x264": ("x264opts", " keyint="),
    "ffmpeg_svt_av1": ("ffmpeg_opts", ":keyint="),
    **{_IDS[Family.NVENC, codec]: ("opts", "keyint=") for codec in Codec},
}
"""By which setting encoders are told frames from key frame to key frame, and what stands in front of them."""


def family_of(question: Question) -> Family:
    """Whose encoders the machine of whoever asks has, as far as it says."""
    return Family.X264 if question.vendor is None else _VENDORS.get(question.vendor, Family.X264)


def choose(codec: Codec, question: Question, family: Family) -> tuple[str, Codec]:
    """Id of the encoder, and what it makes: ``codec`` if there is one for it, else H.264."""
    made = codec if (family, codec) in _IDS and _TOLD[codec] in question.codecs else Codec.H264
    identifier = _IDS[family, made]
    if question.version.startswith("30."):
        identifier = _BEFORE_31.get(identifier, identifier)
    return identifier, made


def counts_frames(identifier: str) -> bool:
    """Whether that encoder can be told them from key frame to key frame, and not seconds alone."""
    return identifier in _FRAMES


def settings_of(
    identifier: str, codec: Codec, family: Family, kbps: int, keyint: int, gop: int | None = None
) -> dict[str, Setting]:
    """What the encoder is told. ``keyint`` is seconds; ``gop`` frames, for those that ``counts_frames``."""
    told: dict[str, Setting] = {"rate_control": "CBR", "bitrate": kbps, "keyint_sec": keyint}
    if identifier == _IDS[Family.X264, Codec.AV1]:
        told |= _SVT_AV1
    else:
        told |= {"profile": "high" if codec is Codec.H264 else "main", **_SETTINGS[family]}
    if gop is not None:
        name, words = _FRAMES[identifier]
        told[name] = f"{told.get(name, '')}{words}{gop}"
    return told
