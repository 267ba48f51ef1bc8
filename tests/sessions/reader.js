// CODE: the documented function stands here
const input = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const socket = require("node:net").connect(input.port, "127.0.0.1");
let waiting = null, got = Buffer.alloc(0);
const taken = () => {
  let at = 0;
  const line = () => { const end = got.indexOf("\r\n", at); if (end < 0) throw 0; const text = got.toString("utf8", at, end); at = end + 2; return text; };
  const many = Number(line().slice(1)), values = [];
  for (let n = 0; n < many; n++) {
    const length = Number(line().slice(1));
    if (length < 0) { values.push(null); continue; }
    if (got.length < at + length + 2) throw 0;
    values.push(got.toString("utf8", at, at + length)); at += length + 2;
  }
  got = got.subarray(at);
  return values;
};
socket.on("data", data => {
  got = Buffer.concat([got, data]);
  try { waiting(taken()); } catch (error) { if (error !== 0) throw error; }
});
const mget = keys => new Promise(resolve => {
  waiting = resolve;
  socket.write([`*${keys.length + 1}`, "$4", "MGET", ...keys.flatMap(key => [`$${Buffer.byteLength(key)}`, key]), ""].join("\r\n"));
});
const keys = new Map(Object.entries(input.record_keys).map(([id, hex]) => [id, Buffer.from(hex, "hex")]));
(async () => {
  for (const c of input.cases) {
    const found = await sessionOf(c.token, c.place, c.ip, mget, keys, input.issuer, c.now);
    console.log(found === null ? "nobody" : found.uid);
  }
  socket.end();
})();
