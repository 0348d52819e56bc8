// Prints the speed of ONNX Runtime's inference of an ONNX file as a line of JSON. Arguments: file,
// shape such as 256x1x28x28, threads, steps, steps before them.
"use strict";
const ort = require("onnxruntime-node");

// Box and Muller's transform of a fixed sequence: random data as the other programs have.
function normal(count) {
  const values = new Float32Array(count);
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 4294967296;
  };
  for (let i = 0; i < count; ++i)
    values[i] = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return values;
}

async function main(file, shape, threads, steps, warmup) {
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    executionMode: "sequential",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { set_denormal_as_zero: "1" } },
  });
  const count = shape.reduce((a, b) => a * b);
  const images = new ort.Tensor("float32", normal(count), shape);
  let logits;
  for (let i = 0; i < warmup; ++i) ({ logits } = await session.run({ images }));
  if (!logits.data.every(Number.isFinite)) throw new Error("the logits are not finite");
  const start = process.hrtime.bigint();
  // A result tensor that is there already spares the making of one.
  for (let i = 0; i < steps; ++i) await session.run({ images }, { logits });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  console.log(JSON.stringify({ images_per_second: (shape[0] * steps) / seconds }));
}

const [file, shape, ...numbers] = process.argv.slice(2);
main(file, shape.split("x").map(Number), ...numbers.map(Number)).catch((error) => {
  console.error(`onnxruntime_speed: ${error.message}`);
  process.exit(1);
});
