// The bitrate of the last minute as a line.

import { mark, svg } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 24;
const POINTS = 60;

/** A drawing that `update(readings)` changes, the newest reading last, on the right. */
export function sparkline() {
  const line = svg("polyline", { class: "line" });
  const element = svg(
    "svg",
    { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", preserveAspectRatio: "none" },
    line,
  );
  const update = (readings) => {
    const most = Math.max(...readings, 1);
    const step = WIDTH / (POINTS - 1);
    const first = WIDTH - step * (readings.length - 1);
    const points = readings.map((reading, number) => {
      const y = HEIGHT - 1.5 - (reading / most) * (HEIGHT - 3);
      return `${(first + step * number).toFixed(1)},${y.toFixed(1)}`;
    });
    mark(line, "points", points.join(" "));
  };
  return { element, update };
}
