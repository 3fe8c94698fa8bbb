// Compiles contracts/src, or the folder that is named, into build/contracts/<Contract>.json with solc's JavaScript
// build: no other tool is needed.
// A warning is an error. Nothing is written unless everything compiles.

import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sourceDir = resolve(process.argv[2] ?? join(root, "contracts", "src"));
const outputDir = join(root, "build", "contracts");
const solc = createRequire(import.meta.url)("solc");

// EIP-170
const LARGEST_CODE_BYTES = 24576;

const settings = {
  optimizer: { enabled: true, runs: 200 },
  viaIR: false,
  // What L2s have had since 2024; later versions bring nothing that is used here.
  evmVersion: "cancun",
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

const names = readdirSync(sourceDir, { recursive: true }).filter((name) => name.endsWith(".sol")).sort();
const sources = Object.fromEntries(
  names.map((name) => [
    relative(root, join(sourceDir, name)).replaceAll("\\", "/"),
    { content: readFileSync(join(sourceDir, name), "utf8") },
  ]),
);

// Only libraries from node_modules are looked up; our own files are all in `sources`.
function findImport(path) {
  try {
    return { contents: readFileSync(join(root, "node_modules", path), "utf8") };
  } catch (error) {
    return { error: `${path}: ${error.code}` };
  }
}

const input = { language: "Solidity", sources, settings };
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
if (output.errors?.length) {
  console.error(output.errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}

const artifacts = Object.keys(sources).flatMap((source) =>
  Object.entries(output.contracts[source]).map(([contract, { abi, evm }]) => ({
    contract,
    source,
    compiler: solc.version(),
    settings: { ...settings, outputSelection: undefined },
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
  })),
);

const codeBytes = ({ deployedBytecode }) => (deployedBytecode.length - 2) / 2;
const tooLarge = artifacts.filter((artifact) => codeBytes(artifact) > LARGEST_CODE_BYTES);
if (tooLarge.length) {
  for (const artifact of tooLarge) {
    console.error(`${artifact.contract} has ${codeBytes(artifact)} bytes of code, at most ${LARGEST_CODE_BYTES} can be deployed`);
  }
  process.exit(1);
}

mkdirSync(outputDir, { recursive: true });
for (const artifact of artifacts) {
  const file = join(outputDir, `${artifact.contract}.json`);
  // Whoever reads meanwhile sees the old or the new one, whole.
  writeFileSync(`${file}.new`, `${JSON.stringify(artifact, null, 2)}\n`);
  renameSync(`${file}.new`, file);
  console.log(`${relative(root, file)}: ${codeBytes(artifact)} bytes of code`);
}
