// What a browser takes by Media Source Extensions.

import { isAudio } from "./words.js";

/** An iPhone has the managed kind alone; where there are both, that one spares batteries. */
export const Media = globalThis.ManagedMediaSource ?? globalThis.MediaSource;

/** Whether it takes a codec of RFC 6381. */
export function plays(codec) {
  return Media.isTypeSupported(`${isAudio(codec) ? "audio" : "video"}/mp4; codecs="${codec}"`);
}
