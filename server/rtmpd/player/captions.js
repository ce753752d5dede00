// Captions that a stream carries, as a browser has them.

/** Tracks of a video's texts that are to be read. */
export function captionsOf(video) {
  return [...video.textTracks].filter(({ kind }) => kind === "captions" || kind === "subtitles");
}
