#!/usr/bin/env node
// What forge needs of a compiler (`--version`, `--standard-json`), on solc's JavaScript build: nothing is downloaded.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const solc = createRequire(import.meta.url)("solc");
const asked = process.argv.includes("--version");
console.log(asked ? `solc, the solidity compiler\nVersion: ${solc.version()}` : solc.compile(readFileSync(0, "utf8")));
