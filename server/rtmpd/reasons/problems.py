"""Why a request to the API of the admin port is not answered as it was meant: with their status of HTTP."""

from __future__ import annotations

from rtmpd.reasons.word import Word


class Problem(Word):
    """Why the API did not do what it was asked to."""

    status: int
    """Of HTTP."""
    heading: str
    """The same sentence each time (RFC 9457); the detail says more."""

    def __init__(self, word: str, status: int, heading: str, meaning: str) -> None:
        super().__init__(word, meaning)
        self.status = status
        self.heading = heading

    NOT_REPLACED = "not_replaced", 409, "No other process has taken over.", "the server goes on as before"
    BAD_REQUEST = (
        "bad_request",
        400,
        "This request cannot be understood.",
        "a name, a parameter or a body that is not as the document has it; the detail names it",
    )
    TOKEN_MISSING = (
        "token_missing",
        401,
        "A token is needed here.",
        "who asks is not on this machine, or `admin.local` is `none`, and shows no token",
    )
    TOKEN_WRONG = (
        "token_wrong",
        401,
        "This token is not good here.",
        "a token that is none, or no more; a JWT that is not genuine, or not for this server",
    )
    TOKEN_EXPIRED = "token_expired", 401, "This token has expired.", "a token, or a JWT, past its time"
    ROLE = "role", 403, "This token may not do that.", "a change that somebody with the role `read` asked for"
    NOT_ALLOWED = (
        "not_allowed",
        403,
        "Changes are not taken from there.",
        "a change that a web page asked for which is not this server's own",
    )
    OUT_OF_SCOPE = (
        "out_of_scope",
        403,
        "This concerns more than the streams of this token.",
        "who asks has to do with some streams only (`streams` of its token), and this is about all",
    )
    NO_SUCH_PATH = "no_such_path", 404, "There is nothing at this path.", "a path that the API does not have"
    STREAM_NOT_FOUND = (
        "stream_not_found",
        404,
        "There is no such stream.",
        "nobody publishes it, and nobody waits for it",
    )
    SESSION_NOT_FOUND = (
        "session_not_found",
        404,
        "There is no such session.",
        "it is over, or never was; its number is that of the log",
    )
    RECORD_NOT_FOUND = "record_not_found", 404, "No such record is kept.", "it goes on, or is long over"
    RECORDING_NOT_FOUND = (
        "recording_not_found",
        404,
        "There is no such recording.",
        "the file is gone, or never was, or is of a stream that the token has nothing to do with",
    )
    TARGET_NOT_FOUND = (
        "target_not_found",
        404,
        "There is no such push target.",
        "the stream is pushed to no target of this id now",
    )
    BAN_NOT_FOUND = "ban_not_found", 404, "There is no such ban.", "the network is not banned, or no more"
    PULL_NOT_FOUND = (
        "pull_not_found",
        404,
        "There is no such pull.",
        "the stream is not fetched now, or nothing says that it ever is, or it is not off",
    )
    KEY_NOT_FOUND = "key_not_found", 404, "There is no such stream key.", "it is gone, or never was"
    TOKEN_REFUSED = (
        "token_refused",
        403,
        "This JWT gives no stream key.",
        "it is not genuine, has expired, or is for other streams; or the app takes none",
    )
    METHOD = "method", 405, "This path takes other methods.", "`Allow` names those that it takes"
    TIMEOUT = (
        "timeout",
        408,
        "The request took too long.",
        "it did not come whole, or was not answered, within `admin.request_timeout`",
    )
    PREDECESSOR = (
        "predecessor",
        409,
        "The process before this one has not done it.",
        "who it is about stayed with that process, which does not answer, or does not know how",
    )
    NOT_HELD = (
        "not_held",
        409,
        "This stream is not held.",
        "it has an encoder, or is over: only the hold of one that was lost can be ended",
    )
    NOT_STORED = "not_stored", 409, "This is not stored.", "there is no `state.dir`, or it cannot be read"
    NOT_PLAYING = (
        "not_playing",
        409,
        "This session plays nothing.",
        "only who plays can be led to another stream",
    )
    NOT_LIVE = (
        "not_live",
        409,
        "There is nothing to go on with.",
        "nobody publishes the other stream, or it is the one that is played",
    )
    NOT_RECORDED = "not_recorded", 409, "This stream is not being recorded.", "start its recording first"
    RECORDING_BUSY = (
        "recording_busy",
        409,
        "This cannot be done with the recording now.",
        "it is being written, read or locked, or the disk does not do it, or nothing is to be done",
    )
    NOT_REVOKED = "not_revoked", 409, "This stream key is not revoked.", "it is good, or has expired"
    TARGET_OFF = (
        "target_off",
        409,
        "This push target, or pull, is switched off.",
        "it does not run, so it cannot be restarted; nor removed if the settings name it. Switch it on",
    )
    TOO_LARGE = "too_large", 413, "The body is too large.", "more than 64 KiB"
    NOT_JSON = "not_json", 415, "The body is no JSON.", "send it as `application/json`"
    OTHER_HOST = (
        "other_host",
        421,
        "This listener answers to other names.",
        "a loopback listener that was asked by a name which is not this machine's",
    )
    TARGET_REFUSED = (
        "target_refused",
        422,
        "This push target cannot be had.",
        "a URL that cannot be used, one that the stream is pushed to already, one too many, or too many off",
    )
    RECORDING_REFUSED = (
        "recording_refused",
        422,
        "This stream cannot be recorded.",
        "nothing says where recordings are kept, or it cannot be written there",
    )
    NETWORK_REFUSED = (
        "network_refused",
        422,
        "This network cannot be banned.",
        "a trusted proxy, an exempt network, this machine, a client without an address, or one too many",
    )
    KEY_REFUSED = (
        "key_refused",
        422,
        "This stream key cannot be added.",
        "one that is there already or is over already, or one too many",
    )
    TOO_MANY_DOWNLOADS = (
        "too_many_downloads",
        429,
        "Too many files are sent at a time.",
        "16 recordings and clips are being sent already",
    )
    NOTHING_KEPT = (
        "nothing_kept",
        404,
        "Nothing of this is kept.",
        "a stream without a [ring](clips.md), or without a key frame",
    )
    CLIPS_BUSY = (
        "clips_busy",
        429,
        "Too many clips or pictures are asked for.",
        "4 clips are being made or sent already, or 16 pictures made",
    )
    NO_MEMORY = (
        "no_memory",
        503,
        "There is no memory for this now.",
        "`memory.max_bytes` has no room for a clip so long, which is held twice while it is made",
    )
    NO_PICTURE = (
        "no_picture",
        501,
        "There is no picture of this.",
        "PyAV is not installed on the server, or cannot decode the key frame; the detail says which",
    )
    TOKENS_OFTEN = (
        "tokens_often",
        429,
        "Stream keys are asked for too often.",
        "more than 60 a minute for one address, or so many that are good; or the address is banned",
    )
    TOO_MANY_FOLLOWERS = (
        "too_many_followers",
        503,
        "As many follow something as may.",
        "`events.max_followers` read answers that do not end; one of them has to leave first",
    )
    SETTINGS_REFUSED = (
        "settings_refused",
        422,
        "These settings cannot be used.",
        "a mistake, or an address, a certificate or a file of keys that cannot be had; nothing has changed",
    )
    TOO_MANY_ATTEMPTS = (
        "too_many_attempts",
        429,
        "There were too many wrong tokens.",
        "the address may show none for a while, which `Retry-After` says in seconds; see [who may](#who-may)",
    )
    KEYS_UNAVAILABLE = (
        "keys_unavailable",
        503,
        "Nobody can tell now whether this token is genuine.",
        "a JWT, and the keys of its issuer cannot be had",
    )
    INTERNAL_ERROR = "internal_error", 500, "The server failed.", "a bug of rtmpd; the log has its traceback"
