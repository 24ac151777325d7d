// A decoder for featcodec frames, written from docs/frame.md alone.
// Usage: node decoder.mjs FILE...   prints one line of JSON for each file: the arrays' dtypes, shapes and
// values, or {"error": "..."}.

import { readFileSync } from "node:fs";
import zlib from "node:zlib";

const DTYPES = [
  ["bool", 1], ["int8", 1], ["int16", 2], ["int32", 4], ["int64", 8], ["uint8", 1],
  ["uint16", 2], ["uint32", 4], ["uint64", 8], ["float16", 2], ["float32", 4], ["float64", 8],
];
const SIZE = Object.fromEntries(DTYPES);
const LIMIT = 2 ** 28;

const WORDS = [
  "transform:step=", "|rans", "affine:bits=", "|zstd:level=", "|ctx", "|floats", "clip:levels=", "|shuffle",
];

function check(condition, message) {
  if (!condition) throw new Error(message);
}

class Reader {
  constructor(bytes, position) {
    this.bytes = bytes;
    this.position = position;
  }
  take(size) {
    check(this.position + size <= this.bytes.length, "truncated");
    this.position += size;
    return this.bytes.subarray(this.position - size, this.position);
  }
  u8() {
    return this.take(1)[0];
  }
  varint() {
    let value = 0;
    for (let index = 0; index < 5; index++) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) {
        check(value < 2 ** 32 && !(byte === 0 && index > 0), "varint");
        return value;
      }
    }
    throw new Error("varint");
  }
}

function parseSpec(text) {
  return text.split("|").map((part) => {
    const [name, rest] = part.split(":");
    return { name, given: Object.fromEntries((rest ? rest.split(",") : []).map((item) => item.split("="))) };
  });
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

function toHalf(value) {
  // float64 -> float16, to nearest, ties to even: scale so that the unit in the last place is 1.
  if (value === 0 || !Number.isFinite(value)) return value;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), -14);
  const unit = 2 ** (exponent - 10);
  const scaled = value / unit;
  let whole = Math.floor(scaled);
  const over = scaled - whole;
  if (over > 0.5 || (over === 0.5 && whole % 2 !== 0)) whole += 1;
  return whole * unit;
}

const ROUND = { float16: toHalf, float32: Math.fround, float64: (value) => value };

function readers(view) {
  return {
    bool: (at) => {
      check(view.getUint8(at) <= 1, "bool");
      return view.getUint8(at) === 1;
    },
    int8: (at) => view.getInt8(at),
    int16: (at) => view.getInt16(at, true),
    int32: (at) => view.getInt32(at, true),
    int64: (at) => view.getBigInt64(at, true),
    uint8: (at) => view.getUint8(at),
    uint16: (at) => view.getUint16(at, true),
    uint32: (at) => view.getUint32(at, true),
    uint64: (at) => view.getBigUint64(at, true),
    float16: (at) => half(view.getUint16(at, true)),
    float32: (at) => view.getFloat32(at, true),
    float64: (at) => view.getFloat64(at, true),
  };
}

function readAll(bytes, dtype) {
  const read = readers(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))[dtype];
  const size = SIZE[dtype];
  return Array.from({ length: bytes.length / size }, (_, index) => read(index * size));
}

function uniform(quantiser) {
  if (quantiser.name === "affine") return 2 ** Number(quantiser.given.bits ?? 8) - 1;
  return Number(quantiser.given.levels ?? 16) - 1;
}

function symbolType(quantiser, dtype) {
  switch (quantiser.name) {
    case "none": return dtype;
    case "float16": return "float16";
    case "bfloat16": return "uint16";
    case "affine":
    case "clip": return uniform(quantiser) < 256 ? "uint8" : "uint16";
    default: throw new Error(`quantiser ${quantiser.name}`);
  }
}

const UNPACK = {
  zlib: (data, options) => zlib.inflateSync(data, options),
  gzip: (data, options) => zlib.gunzipSync(data, options),
  brotli: (data, options) => zlib.brotliDecompressSync(data, options),
  zstd: (data, options) => zlib.zstdDecompressSync(data, options),
};

function unpack(coder, payload, size) {
  if (!coder) return payload;
  check(UNPACK[coder.name], `byte coder ${coder.name}`);
  return UNPACK[coder.name](payload, { maxOutputLength: size });
}

function unshuffle(planes, size) {
  const count = planes.length / size;
  const out = new Uint8Array(planes.length);
  for (let index = 0; index < count; index++) {
    for (let byte = 0; byte < size; byte++) out[index * size + byte] = planes[byte * count + index];
  }
  return out;
}

function dequantise(quantiser, symbols, tensor) {
  const parameterless = ["none", "float16", "bfloat16"].includes(quantiser.name);
  check(!parameterless || tensor.params.length === 0, "parameters");
  if (quantiser.name === "none") return symbols;
  const round = ROUND[tensor.dtype];
  check(round, "dtype");
  if (quantiser.name === "float16") return symbols;
  if (quantiser.name === "bfloat16") {
    const view = new DataView(new ArrayBuffer(4));
    return symbols.map((symbol) => {
      view.setUint32(0, symbol * 65536);
      return round(view.getFloat32(0));
    });
  }
  const top = uniform(quantiser);
  const channelled = quantiser.given.per === "channel" && tensor.shape.length >= 3;
  const channels = channelled ? tensor.shape.at(-3) : 1;
  const inner = channelled ? tensor.shape.at(-2) * tensor.shape.at(-1) : symbols.length;
  const ends = readAll(tensor.params, tensor.dtype === "float64" ? "float64" : "float32");
  check(ends.length === 2 * channels, "parameters");
  return symbols.map((symbol, index) => {
    const channel = Math.floor(index / inner) % channels;
    const [low, high] = [ends[2 * channel], ends[2 * channel + 1]];
    check(symbol <= top && Number.isFinite(low) && Number.isFinite(high) && low <= high, "range");
    return round(Math.min(Math.max(low * ((top - symbol) / top) + high * (symbol / top), low), high));
  });
}

function decodeTensor(tensor, payload, [quantiser, ...coders]) {
  const count = tensor.shape.reduce((product, side) => product * side, 1);
  check(count <= LIMIT, "limit");
  if (count === 0) {
    check(tensor.params.length === 0 && payload.length === 0, "empty");
    return [];
  }
  const type = symbolType(quantiser, tensor.dtype);
  const array = ["raw", "shuffle"].includes(coders[0]?.name) ? coders.shift().name : "raw";
  check(coders.length <= 1, "spec");
  const size = count * SIZE[type];
  let bytes = unpack(coders[0], payload, size);
  check(bytes.length === size, "payload size");
  if (array === "shuffle") bytes = unshuffle(bytes, SIZE[type]);
  return dequantise(quantiser, readAll(bytes, type), tensor);
}

function expandWord(byte) {
  check(byte < 0x80 || WORDS[byte - 0x80], "word");
  return byte < 0x80 ? String.fromCharCode(byte) : WORDS[byte - 0x80];
}

function decode(frame) {
  check(frame.length >= 18, "truncated");
  check(frame.subarray(0, 4).equals(Buffer.from([0x89, 0x46, 0x43, 0x46])), "magic");
  check(frame[4] === 1, "version");
  const body = frame.subarray(0, -4);
  check(zlib.crc32(body) === frame.readUInt32LE(frame.length - 4), "checksum");
  const reader = new Reader(body, 5);
  const spec = parseSpec([...reader.take(reader.u8())].map(expandWord).join(""));
  const fingerprint = reader.take(reader.u8());
  check(fingerprint.length === 0 || (fingerprint.length >= 8 && fingerprint.length <= 32), "fingerprint");
  const tensorCount = reader.u8();
  check(tensorCount > 0, "no tensors");
  const tensors = Array.from({ length: tensorCount }, () => {
    const dtype = DTYPES[reader.u8()]?.[0];
    check(dtype, "dtype");
    const rank = reader.u8();
    check(rank <= 8, "rank");
    const shape = Array.from({ length: rank }, () => reader.varint());
    const params = reader.take(reader.varint());
    return { dtype, shape, params, size: reader.varint() };
  });
  for (let left = reader.u8(); left > 0; left--) {
    check((reader.take(2)[1] & 0x80) === 0, "critical extension");
    reader.take(reader.varint());
  }
  const payloads = tensors.map((tensor) => reader.take(tensor.size));
  check(reader.position === body.length, "bytes left over");
  return tensors.map((tensor, index) => ({
    dtype: tensor.dtype,
    shape: tensor.shape,
    values: decodeTensor(tensor, payloads[index], spec),
  }));
}

// JSON has no NaN, infinities, negative zero or 64-bit integers: values travel as text.
const plain = (_, value) =>
  typeof value === "bigint" ? value.toString() : Object.is(value, -0) ? "-0.0"
    : typeof value === "number" && !Number.isFinite(value) ? String(value).replace("Infinity", "inf") : value;

for (const path of process.argv.slice(2)) {
  let result;
  try {
    result = { tensors: decode(readFileSync(path)) };
  } catch (error) {
    result = { error: error.message };
  }
  console.log(JSON.stringify(result, plain));
}
