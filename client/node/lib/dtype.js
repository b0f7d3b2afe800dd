'use strict';

/* The attributes that describe an array, see docs/attributes.md. */
const DTYPES = {
  bool: [Uint8Array, '|b1'],
  int8: [Int8Array, '|i1'],
  uint8: [Uint8Array, '|u1'],
  int16: [Int16Array, '<i2'],
  uint16: [Uint16Array, '<u2'],
  int32: [Int32Array, '<i4'],
  uint32: [Uint32Array, '<u4'],
  int64: [BigInt64Array, '<i8'],
  uint64: [BigUint64Array, '<u8'],
  float32: [Float32Array, '<f4'],
  float64: [Float64Array, '<f8'],
};

const NDARRAY = 'application/x-ndarray';

function typeOf(dtype) {
  for (const [name, [type, short]] of Object.entries(DTYPES))
    if (dtype === name || dtype === short) return type;
  throw new TypeError(`dtype '${dtype}' is none of ${Object.keys(DTYPES).join(', ')}`);
}

/* The number of elements; without a shape as many as fit. */
function lengthOf(shape, size, type) {
  if (shape === undefined) return Math.floor(size / type.BYTES_PER_ELEMENT);
  if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0))
    throw new TypeError('shape is no array of whole numbers');
  return shape.reduce((product, n) => product * n, 1);
}

/* The type and the number of elements of an array in a region of this size. */
function layout({ dtype = 'uint8', shape }, size) {
  const type = typeOf(dtype);
  const length = lengthOf(shape, size, type);

  if (length * type.BYTES_PER_ELEMENT > size)
    throw new RangeError(
      `an array of ${length} ${dtype} is longer than its region of ${size} bytes`,
    );
  return { type, length };
}

function attributesOf(array, shape = [array.length]) {
  const dtype = Object.keys(DTYPES).find(
    (name) => name !== 'bool' && array instanceof DTYPES[name][0],
  );

  if (!dtype) throw new TypeError('not a typed array that other languages know');
  if (lengthOf(shape, array.byteLength, array.constructor) !== array.length)
    throw new RangeError(`the shape [${shape}] is not that of ${array.length} elements`);
  return { media_type: NDARRAY, dtype, shape, order: 'C' };
}

/* The bytes of whatever holds bytes, without a copy. */
function bytesOf(data) {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.from(data);
}

module.exports = { layout, attributesOf, bytesOf };
