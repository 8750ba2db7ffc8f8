/** What is told of messages that took so many milliseconds each, within so many milliseconds in all. Sorts them. */
export function describeLatencies(latencies, passed, errors) {
  latencies.sort((one, other) => one - other);
  return {
    requests: latencies.length,
    rate: (latencies.length * 1000) / passed,
    p50: latencies[Math.floor(latencies.length * 0.5)],
    p99: latencies[Math.floor(latencies.length * 0.99)],
    max: latencies.at(-1),
    errors,
  };
}
