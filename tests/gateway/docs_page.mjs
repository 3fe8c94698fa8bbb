// Runs the script of docs.html on as much of a browser's document as it needs, and prints what it shows:
// [tag, text] of every heading and every piece of code, in the order of the page. Arguments: page, openapi.json.
import { readFileSync } from "node:fs";

const [page, api] = process.argv.slice(2).map((path) => readFileSync(path, "utf8"));

class Node {
  constructor(tag) { Object.assign(this, { tag, children: [] }); }
  append(...children) { this.children.push(...children); }
  set textContent(text) { this.children = [text]; }
  get textContent() { return this.children.map((c) => c.textContent ?? c).join(""); }
  *all() {
    yield this;
    for (const child of this.children) if (child instanceof Node) yield* child.all();
  }
}
const roots = { "#about": new Node("p"), main: new Node("main") };
globalThis.document = { createElement: (tag) => new Node(tag), querySelector: (name) => roots[name] };
globalThis.fetch = async () => ({ json: async () => JSON.parse(api) });

const script = page.match(/<script type="module">([^]*)<\/script>/)[1];
await import(`data:text/javascript,${encodeURIComponent(script)}`);
const nodes = [...roots["#about"].all(), ...roots.main.all()];
const shown = nodes.filter((n) => ["h2", "p", "code"].includes(n.tag)).map((n) => [n.tag, n.textContent]);
console.log(JSON.stringify(shown));
