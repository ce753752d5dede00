// What people are told: names of codecs, and sentences.

const CODECS = [
  [/^avc[13]/, "H.264"],
  [/^(hvc1|hev1|dvh1|dvhe)/, "HEVC (H.265)"],
  [/^vvc1/, "VVC (H.266)"],
  [/^av01/, "AV1"],
  [/^vp0?9/, "VP9"],
  [/^vp0?8/, "VP8"],
  [/^mp4a\.(40\.34|69|6b)/i, "MP3"],
  [/^\.?mp3/i, "MP3"],
  [/^mp4a/, "AAC"],
  [/^opus/i, "Opus"],
  [/^flac/i, "FLAC"],
  [/^ac-3/, "AC-3"],
  [/^ec-3/, "E-AC-3"],
];
const EVERYWHERE = new Set(["H.264", "AAC"]);
const AUDIO = new Set(["MP3", "AAC", "Opus", "FLAC", "AC-3", "E-AC-3"]);

/** What people call a codec of RFC 6381. */
export function codecName(codec) {
  return CODECS.find(([pattern]) => pattern.test(codec))?.[1] ?? codec;
}

export function isAudio(codec) {
  return AUDIO.has(codecName(codec));
}

/** The codecs in a MIME type. */
export function codecsOf(mime) {
  return (/codecs="?([^"]*)"?/.exec(mime)?.[1] ?? "").split(",").map((each) => each.trim()).filter(Boolean);
}

export const SAY = {
  connecting: "Connecting…",
  offline: "Not live yet. The stream begins here by itself.",
  over: "The stream has ended. It begins again here by itself.",
  holding: "The encoder has lost its connection. The stream goes on as soon as it is back.",
  slate: "The encoder sends nothing at the moment: this is a slate. The stream goes on as soon as it is back.",
  stalled: "Waiting for the picture…",
  lost: "The connection is lost. It is tried again.",
  busy: "The server is full at the moment. It is tried again.",
  unproven: "This stream is not open to everybody: whoever sent you here has to send a link with a key.",
  forbidden: "You may not watch this stream: the server does not let you in.",
  nothing: "This browser cannot play this stream: it has no Media Source Extensions, nor anything else that would do here.",
  unoffered: "This stream is not offered to browsers here.",
  tap: "Press play to start.",
};

/** Why there is no picture, or no sound: the browser lacks these codecs. */
export function playsNothing(codecs) {
  const names = [...new Set(codecs.map(codecName))];
  const advice = names.some((name) => EVERYWHERE.has(name)) ? "Try another browser." : "Try another browser, or ask for a stream in H.264 and AAC.";
  return `This browser cannot play ${names.join(" and ") || "the codec of this stream"}. ${advice}`;
}

/** The same where the rest plays. */
export function playsWithout(codecs) {
  const names = [...new Set(codecs.map(codecName))].join(" and ");
  return codecs.every(isAudio) ? `No sound: this browser cannot play ${names}.` : `Sound alone: this browser cannot play ${names}.`;
}

/** Such as "0.4 s", "12 s", "3 min 20 s". */
export function seconds(number) {
  if (number < 9.95) return `${Math.max(number, 0).toFixed(1)} s`;
  const whole = Math.round(number);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
