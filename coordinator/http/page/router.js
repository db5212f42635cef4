// Which view an address shows: "#/sweeps/demo-1/features/7?target=0". A view is added by one
// line of `routes` in app.js.

/** {path: ["sweeps", "demo-1"], query: URLSearchParams} of the address. */
export function readAddress() {
  const text = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  const [path, query = ""] = text.split("?");
  const segments = path.split("/").filter(Boolean).map((segment) => {
    try {
      return decodeURIComponent(segment);
    } catch {
      return segment;
    }
  });
  return { path: segments, query: new URLSearchParams(query) };
}

/** Pattern "sweeps/:sweep" against segments: parameters, or null. */
export function match(pattern, segments) {
  const parts = pattern.split("/").filter(Boolean);
  if (parts.length !== segments.length) return null;
  const parameters = {};
  for (const [i, part] of parts.entries()) {
    if (part.startsWith(":")) parameters[part.slice(1)] = segments[i];
    else if (part !== segments[i]) return null;
  }
  return parameters;
}

const address = (...segments) => "#/" + segments.map(encodeURIComponent).join("/");

export const to = {
  overview: () => "#/",
  workers: () => "#/workers",
  dead: () => "#/dead",
  sweep: (id, cursor = 0) => address("sweeps", id) + (cursor ? `?cursor=${cursor}` : ""),
  feature: (id, feature) => address("sweeps", id, "features", String(feature)),
};
