// Records what the readable stream of Node (20 or later) does with random operations, in the format that
// tests/body_readable_vectors.rs reads:
//   node spec/vectors/readable.mjs 150 > spec/vectors/readable.txt
// A line is an operation and what came of it: reads that settled, pulls (p), a cancelling that the source was told (c),
// the desired size (d), the state (s).
const streams = Number(process.argv[2] ?? 150);

let seed = 1;
function below(bound) {
  // xorshift32: the same numbers in every run.
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % bound;
}

const settled = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

function deferred() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  it.promise.catch(() => {});
  return it;
}

const why = (error) => (error instanceof TypeError ? "released" : `err${error}`);

async function stream(number) {
  const bytes = below(2) === 1;
  const mark = below(bytes ? 8 : 4);
  console.log(`stream ${number} ${bytes ? "bytes" : "count"} ${mark}`);
  const start = deferred();
  let controller, pull, cancel, sent = 0, reads = 0, state = "open", pulls = 0, events = [];
  const source = {
    start(it) {
      controller = it;
      return start.promise;
    },
    pull() {
      pulls += 1;
      pull = deferred();
      return pull.promise;
    },
    cancel(reason) {
      events.push(`c${reason}`);
      cancel = deferred();
      return cancel.promise;
    },
  };
  const strategy = bytes
    ? new ByteLengthQueuingStrategy({ highWaterMark: mark })
    : new CountQueuingStrategy({ highWaterMark: mark });
  const it = new ReadableStream(source, strategy);
  let reader, old;
  const attempt = (run) => {
    try {
      run();
    } catch {
      events.push("!");
    }
  };
  const cancelling = (promise) =>
    promise.then(
      () => events.push("cancelled"),
      (error) => events.push(error instanceof TypeError ? "!" : `cancelled-err${error}`),
    );
  const lock = () => {
    reader = it.getReader();
    const mine = reader;
    reader.closed.then(
      () => (state = "closed"),
      (error) => {
        if (mine === reader) state = why(error);
      },
    );
  };
  const operations = {
    start: () => start.resolve(),
    "start-fail": () => start.reject(below(9)),
    enqueue: (length) => attempt(() => controller.enqueue(new Uint8Array(length).fill((sent += 1)))),
    close: () => attempt(() => controller.close()),
    error: (reason) => controller.error(reason),
    pulled: () => pull?.resolve(),
    "pull-fail": (reason) => pull?.reject(reason),
    lock: () => attempt(lock),
    release: () => {
      old = reader;
      reader = undefined;
      old.releaseLock();
    },
    read: () => {
      const read = (reads += 1);
      reader.read().then(
        ({ value, done }) => events.push(done ? `r${read}=done` : `r${read}=${value.length}:${value[0] ?? "-"}`),
        (error) => events.push(`r${read}=${why(error)}`),
      );
    },
    "read-old": () => old.read().catch(() => events.push("!")),
    cancel: (reason) => cancelling(it.cancel(reason)),
    "reader-cancel": (reason) => cancelling(reader.cancel(reason)),
    stopped: () => cancel.resolve(),
    "stop-fail": (reason) => cancel.reject(reason),
  };
  for (let turn = 0; turn < 18; turn += 1) {
    const common = ["enqueue", "enqueue", "enqueue", "pulled", "pulled"];
    const choice = turn === below(3) ? ["start"] : [...common, ...(reader ? ["read", "read", "read"] : ["lock", "lock"])];
    const rare = ["start", "close", "error", "lock", "pull-fail", "cancel"];
    if (below(10) === 0) rare.push("start-fail");
    if (reader) rare.push("release", "reader-cancel", "reader-cancel");
    if (old) rare.push("read-old");
    if (cancel) rare.push("stopped", "stop-fail");
    const from = below(4) === 0 || (cancel && below(3) === 0) ? rare : choice;
    const name = from[below(from.length)];
    let argument = name === "enqueue" ? below(5) : below(9);
    if (name === "start-fail") {
      const reason = argument;
      operations[name] = () => start.reject(reason);
    }
    events = [];
    pulls = 0;
    operations[name](argument);
    await settled();
    const seen = reader ? state : "-";
    const all = [...events, `p${pulls}`, `d${controller.desiredSize}`, `s${seen}`];
    console.log(`${name} ${argument} -> ${all.join(" ")}`);
    if (!reader) state = "open";
  }
}

for (let number = 0; number < streams; number += 1) await stream(number);
