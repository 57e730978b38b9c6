import { createServer } from "node:http";
import { writeFile, readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { gzipSync } from "node:zlib";

// Nobody outside of the task can reach this server.
const server = createServer((request, response) => response.end(`you asked for ${request.url}`));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const answer = await fetch(`http://127.0.0.1:${server.address().port}/hello`);
console.log(await answer.text());
server.close();

const source = "require('node:worker_threads').parentPort.postMessage(6 * 7)";
const worker = new Worker(source, { eval: true });
console.log("a thread says", await new Promise((said) => worker.once("message", said)));

await writeFile("out/text.gz", gzipSync("hello ".repeat(100)));
console.log("packed:", (await readFile("out/text.gz")).length < 100);
