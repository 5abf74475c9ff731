// The records of the server by section and key, and what the page may ask for.

const sections = new Map();
const listeners = [];
const changed = new Set();

export const records = (section) => {
  if (!sections.has(section)) sections.set(section, new Map());
  return sections.get(section);
};

/** Call `render` after a change in one of these sections, at most once a frame. */
export const onChange = (names, render) => listeners.push({ names: new Set(names), render });

export const touch = (section) => {
  if (!changed.size) requestAnimationFrame(render);
  changed.add(section);
};

function render() {
  const names = new Set(changed);
  changed.clear();
  for (const { names: wanted, render } of listeners) {
    if ([...names].some((name) => wanted.has(name))) render();
  }
}

export function follow(onState) {
  const stream = new EventSource("events");
  stream.onopen = () => {
    // After an interruption the server sends everything anew
    for (const [name, section] of sections) {
      section.clear();
      touch(name);
    }
    onState("open");
  };
  stream.onerror = () => onState("lost");
  stream.onmessage = ({ data }) => {
    for (const [section, key, value] of JSON.parse(data)) {
      if (value === null) records(section).delete(key);
      else records(section).set(key, value);
      touch(section);
    }
  };
}

/** Ask the server. A refusal is an Error with its reason. */
export async function ask(action, args = {}) {
  const response = await fetch(`do/${action}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(args),
  });
  const answer = await response.json().catch(() => ({ problem: `Status ${response.status}` }));
  if (!response.ok) throw new Error(answer.problem);
  return answer;
}
