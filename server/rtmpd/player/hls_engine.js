// HLS with low latency by hls.js, which is loaded when it is needed.

import { Beacon } from "./beacon.js";
import { captionsOf } from "./captions.js";
import { Media, plays } from "./media.js";

const LATE = 10; // Seconds behind the live edge from which it is no more followed.

export class HlsEngine {
  static name = "hls";
  static way = "hls"; // By which the server offers it.

  static works() {
    return Boolean(Media);
  }

  /** `told` as of MseEngine, and `levels()`. */
  constructor(video, source, told, { ago = 0 } = {}) {
    this.video = video;
    this.source = source;
    this.told = told;
    this.ago = ago; // Seconds.
    this.over = false;
    this.hls = null;
    this.codecs = [];
    this.ended = () => this.told.ended({ opened: true, code: 1000, reason: "" });
    video.addEventListener("ended", this.ended);
    this.#begin();
  }

  close() {
    this.over = true;
    this.video.removeEventListener("ended", this.ended);
    this.beacon?.close();
    this.hls?.destroy();
    this.video.playbackRate = 1;
  }

  get delay() {
    const latency = this.hls?.latency;
    return latency > 0 ? latency : null;
  }

  get window() {
    const { seekable } = this.video;
    return seekable.length > 0 ? { start: seekable.start(0), end: seekable.end(seekable.length - 1) } : null;
  }

  get follows() {
    const { hls, video } = this;
    return hls?.liveSyncPosition == null || video.currentTime > hls.liveSyncPosition - LATE;
  }

  /** Qualities; -1 chooses by itself. */
  get levels() {
    return labelled(this.hls?.levels ?? []);
  }

  get level() {
    return this.hls?.manualLevel ?? -1;
  }

  set level(id) {
    if (this.hls) this.hls.nextLevel = id;
  }

  /** Audio tracks, where there are several. */
  get sounds() {
    return (this.hls?.audioTracks ?? []).map(({ name }, id) => ({ id, label: name }));
  }

  get sound() {
    return this.hls?.audioTrack ?? -1;
  }

  set sound(id) {
    if (this.hls) this.hls.audioTrack = id;
  }

  get captions() {
    return captionsOf(this.video);
  }

  /** Load nothing until it is woken. */
  rest() {
    this.hls?.stopLoad();
    this.rests = true;
  }

  wake() {
    if (this.rests) this.hls?.startLoad();
    this.rests = false;
  }

  goLive() {
    const position = this.hls?.liveSyncPosition;
    if (position != null) this.video.currentTime = position;
  }

  async #begin() {
    let Hls;
    try {
      ({ default: Hls } = await import("./vendor/hls.min.mjs"));
    } catch {
      if (!this.over) this.told.ended({ opened: false, code: 0, reason: "" });
      return;
    }
    if (this.over) return;
    // What we send needs no transmuxing: a worker would be a blob, which the policy of the page refuses.
    const hls = new Hls({
      enableWorker: false,
      lowLatencyMode: true,
      backBufferLength: 60,
      maxLiveSyncPlaybackRate: 1.06,
      timelineController: readerOf(Hls),
    });
    this.hls = hls;
    hls.on(Hls.Events.MANIFEST_LOADED, (_, { levels }) => (this.codecs = codecsIn(levels)));
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.told.levels());
    hls.on(Hls.Events.LEVEL_SWITCHED, () => this.told.changed({}));
    hls.on(Hls.Events.FRAG_BUFFERED, () => {
      if (this.began) return;
      this.began = true;
      const { window } = this;
      if (this.ago > 0 && window) this.video.currentTime = Math.max(window.end - this.ago, window.start);
      this.beacon = new Beacon(this.video, this.source, () => this.#token());
      this.told.begun();
    });
    hls.on(Hls.Events.ERROR, (_, data) => this.#failed(Hls, data));
    hls.loadSource(this.source.url("/index.m3u8"));
    hls.attachMedia(this.video);
  }

  /** Who watches, as the server has written it into the playlists. */
  #token() {
    const { url } = this.hls?.levels?.[this.hls.loadLevel] ?? {};
    return url ? new URL(url[0] ?? url, location.href).searchParams.get("token") : null;
  }

  #failed(Hls, { fatal, type, details, response }) {
    const { ErrorDetails, ErrorTypes } = Hls;
    const unfit = [ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR, ErrorDetails.BUFFER_ADD_CODEC_ERROR, ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR];
    if (unfit.includes(details)) {
      const lacks = this.codecs.filter((codec) => !plays(codec));
      this.told.lacks(lacks.length > 0 ? lacks : this.codecs, this.codecs);
      return;
    }
    if (!fatal) return;
    if (type === ErrorTypes.MEDIA_ERROR && !this.recovered) {
      this.recovered = true;
      this.hls.recoverMediaError();
      return;
    }
    this.told.ended({ opened: Boolean(this.began), code: response?.code ?? 0, reason: "", broken: type === ErrorTypes.MEDIA_ERROR });
  }
}

/** What reads captions. That of hls.js begins anew with each part, so that captions longer than one are lost, and has
 *  them wait for video alone where video comes with sound. */
function readerOf(Hls) {
  return class extends Hls.DefaultConfig.timelineController {
    onFragLoading(name, data) {
      const { frag, part } = data;
      const goesOn = part && frag.sn === this.lastSn && frag.cc === this.lastCc && part.index === this.lastPartIndex + 1;
      if (goesOn && frag.type === "main") this.lastPartIndex = part.index;
      else super.onFragLoading(name, data);
    }

    onBufferAppended(name, data) {
      const { type, timeRanges } = data;
      const isBoth = type === "audiovideo";
      super.onBufferAppended(name, isBoth ? { ...data, type: "video", timeRanges: { ...timeRanges, video: timeRanges.audiovideo } } : data);
    }
  };
}

/** All codecs of a multivariant playlist. */
function codecsIn(levels) {
  return [...new Set(levels.flatMap(({ attrs }) => (attrs.CODECS ?? "").split(",")).filter(Boolean))];
}

/** `{ id, label }` of each level, the best first: by its height, and its bit rate where others are as high. */
function labelled(levels) {
  const heights = levels.map(({ height }) => height);
  const label = ({ height, bitrate }) => {
    const rate = `${Math.round(bitrate / 1000)} kbit/s`;
    if (!height) return rate;
    return heights.filter((each) => each === height).length > 1 ? `${height}p, ${rate}` : `${height}p`;
  };
  return levels.map((level, id) => ({ id, label: label(level) })).reverse();
}
