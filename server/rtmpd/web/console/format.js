// Figures as people read them.

/** bit/s, such as "6.02 Mbit/s". */
export function bitrate(bits) {
  if (bits >= 1e9) return `${(bits / 1e9).toFixed(2)} Gbit/s`;
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(2)} Mbit/s`;
  return `${(bits / 1e3).toFixed(0)} kbit/s`;
}

/** Such as "1.2 GB". */
export function size(bytes) {
  for (const [factor, unit] of [
    [1e12, "TB"],
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "kB"],
  ]) {
    if (bytes >= factor) return `${(bytes / factor).toFixed(1)} ${unit}`;
  }
  return `${bytes} B`;
}

export function count(number) {
  return number.toLocaleString("en-GB");
}

/** "1 player", "12 players". */
export function counted(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

const PARTS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

/** Such as "3 min 20 s": its two largest parts. */
export function lasted(seconds) {
  let rest = Math.max(Math.floor(seconds), 0);
  const parts = [];
  for (const [unit, length] of PARTS) {
    const number = Math.floor(rest / length);
    rest -= number * length;
    if (number > 0 || (unit === "s" && parts.length === 0)) parts.push(`${number} ${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** For how long, at `now` (of the server, in ms), since a time of the API. */
export function since(time, now) {
  return time === null ? "" : lasted((now - Date.parse(time)) / 1000);
}

const TODAY = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const EARLIER = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The time here of a time of the API, with its day unless that is today's. */
export function clock(time) {
  const at = new Date(time);
  return (at.toDateString() === new Date().toDateString() ? TODAY : EARLIER).format(at);
}

/** Seconds below a second as ms. */
export function delay(seconds) {
  return seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(1)} s`;
}

const CODECS = {
  avc1: "H.264",
  hvc1: "HEVC",
  av01: "AV1",
  vp09: "VP9",
  mp4a: "AAC",
  Opus: "Opus",
  fLaC: "FLAC",
  "ac-3": "AC-3",
  "ec-3": "E-AC-3",
  ".mp3": "MP3",
};

const PROTOCOLS = { rtmp: "RTMP", "http-flv": "HTTP-FLV", "ws-flv": "WebSocket-FLV", "http-mp4": "HTTP-MP4", "ws-mp4": "WebSocket-MP4", hls: "HLS", http: "HTTP", push: "RTMP", pull: "RTMP" };

/** What a session speaks: relays of this server do RTMP. */
export function protocolOf({ protocol }) {
  return PROTOCOLS[protocol] ?? protocol;
}

export function codec(fourCc) {
  return fourCc === null ? "not known yet" : (CODECS[fourCc] ?? fourCc);
}

/** A medium of a stream in words, such as "H.264 1920×1080, 60.0 fps". */
export function medium(told) {
  if (told === null) return "none";
  const pixels = told.width ? ` ${told.width}×${told.height}` : "";
  const rate = "frames_per_second" in told ? `, ${told.frames_per_second.toFixed(1)} fps` : "";
  return `${codec(told.codec)}${pixels}${rate}`;
}

/** bit/s of both media of a stream or publication. */
export function rateOf(told, over = "10s") {
  return [told.video, told.audio].reduce((sum, each) => sum + (each?.[`bits_per_second_${over}`] ?? 0), 0);
}

/** Whether one name comes before another as people count: many3 before many29. */
export const inOrder = new Intl.Collator("en", { numeric: true }).compare;

export function pathOf(stream) {
  return `${stream.app}/${stream.name}`;
}
