// What the official JavaScript client, another code base than the Go one, expects of an EventStoreDB. It is told the
// connection string; it prints a line for each thing it tried, and exits with 1 if one of them was not so.
//
//   node conformance.js esdb://127.0.0.1:2113?tls=false
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  ANY, BACKWARDS, END, FORWARDS, NO_STREAM, START, STREAM_EXISTS,
  EventStoreDBClient, MaxAppendSizeExceededError, StreamDeletedError, StreamNotFoundError,
  WrongExpectedVersionError, excludeSystemEvents, jsonEvent, binaryEvent,
} from "@eventstore/db-client";

const client = EventStoreDBClient.connectionString(process.argv[2]);
const run = randomUUID();
const stream = (name) => `conformance-${run}-${name}`;
const event = (n, id = randomUUID()) => jsonEvent({ id, type: "conformance.happened", data: { n }, metadata: { m: n } });
const all = async (read) => { const found = []; for await (const e of read) found.push(e); return found; };
const numbers = (events) => events.map(({ event }) => Number(event.revision));
const data = (events) => events.map(({ event }) => event.data.n);

const checks = {
  async "an append answers with the last revision and a position"() {
    const r = await client.appendToStream(stream("a"), [event(0), event(1), event(2)], { expectedRevision: NO_STREAM });
    assert.equal(r.success, true);
    assert.equal(r.nextExpectedRevision, 2n);
    assert.ok(r.position.commit > 0n);
  },
  async "revisions count from 0, and all that was written is read"() {
    const found = await all(client.readStream(stream("a"), { direction: FORWARDS, fromRevision: START, maxCount: 10 }));
    assert.deepEqual(numbers(found), [0, 1, 2]);
    assert.deepEqual(data(found), [0, 1, 2]);
    const { event: e } = found[1];
    assert.equal(e.streamId, stream("a"));
    assert.equal(e.type, "conformance.happened");
    assert.equal(e.isJson, true);
    assert.deepEqual(e.metadata, { m: 1 });
    assert.ok(Math.abs(Date.now() - e.created.getTime()) < 24 * 3600 * 1000, `created ${e.created}`);
    assert.ok(e.position.commit > found[0].event.position.commit, "positions grow");
  },
  async "a stream is read backward, and from a revision"() {
    assert.deepEqual(numbers(await all(client.readStream(stream("a"), { direction: BACKWARDS, fromRevision: END }))), [2, 1, 0]);
    assert.deepEqual(numbers(await all(client.readStream(stream("a"), { direction: FORWARDS, fromRevision: 1n }))), [1, 2]);
    assert.deepEqual(numbers(await all(client.readStream(stream("a"), { direction: BACKWARDS, fromRevision: END, maxCount: 1 }))), [2]);
  },
  async "a stale writer hears WrongExpectedVersion, with both revisions"() {
    await assert.rejects(client.appendToStream(stream("a"), [event(9)], { expectedRevision: 0n }), (e) => {
      assert.ok(e instanceof WrongExpectedVersionError, String(e));
      assert.equal(e.expectedVersion, 0n);
      assert.equal(e.actualVersion, 2n);
      return true;
    });
    await assert.rejects(client.appendToStream(stream("a"), [event(9)], { expectedRevision: NO_STREAM }), WrongExpectedVersionError);
    await assert.rejects(client.appendToStream(stream("none"), [event(9)], { expectedRevision: STREAM_EXISTS }), WrongExpectedVersionError);
  },
  async "the same events again at the same place are success, once"() {
    const events = [event(3), event(4)];
    for (let i = 0; i < 3; i++) {
      const r = await client.appendToStream(stream("a"), events, { expectedRevision: 2n });
      assert.equal(r.nextExpectedRevision, 4n);
    }
    await assert.rejects(client.appendToStream(stream("a"), [events[0], event(5)], { expectedRevision: 2n }), WrongExpectedVersionError);
    assert.deepEqual(numbers(await all(client.readStream(stream("a")))), [0, 1, 2, 3, 4]);
  },
  async "the same event again, whatever is there, is success, once"() {
    const one = event(0);
    for (let i = 0; i < 2; i++) {
      const r = await client.appendToStream(stream("any"), [one], { expectedRevision: ANY });
      assert.equal(r.nextExpectedRevision, 0n);
    }
    assert.deepEqual(numbers(await all(client.readStream(stream("any")))), [0]);
  },
  async "a stream that does not exist is not found"() {
    await assert.rejects(all(client.readStream(stream("none"))), StreamNotFoundError);
  },
  async "bytes are kept as they are"() {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.appendToStream(stream("bytes"), [binaryEvent({ type: "conformance.bytes", data: bytes, metadata: bytes })]);
    const [{ event: e }] = await all(client.readStream(stream("bytes")));
    assert.equal(e.isJson, false);
    assert.deepEqual(Uint8Array.from(e.data), bytes);
  },
  async "a large event is kept, and a larger one refused for its size"() {
    const large = { text: "x".repeat(900 * 1024) };
    await client.appendToStream(stream("large"), [jsonEvent({ type: "conformance.large", data: large })]);
    const [{ event: e }] = await all(client.readStream(stream("large")));
    assert.deepEqual(e.data, large);
    const larger = jsonEvent({ type: "conformance.large", data: { text: "x".repeat(1100 * 1024) } });
    await assert.rejects(client.appendToStream(stream("large"), [larger]), (e) => {
      assert.ok(e instanceof MaxAppendSizeExceededError, String(e));
      assert.equal(e.maxAppendSize, 1024 * 1024);
      return true;
    });
    assert.equal((await all(client.readStream(stream("large")))).length, 1);
  },
  async "a stream that was deleted softly seems empty, and goes on where it ended"() {
    await client.appendToStream(stream("soft"), [event(0), event(1)]);
    await client.deleteStream(stream("soft"));
    await assert.rejects(all(client.readStream(stream("soft"))), StreamNotFoundError);
    const r = await client.appendToStream(stream("soft"), [event(2)], { expectedRevision: NO_STREAM });
    assert.equal(r.nextExpectedRevision, 2n);
    assert.deepEqual(numbers(await all(client.readStream(stream("soft")))), [2]);
  },
  async "a tombstone is for ever"() {
    await client.appendToStream(stream("tomb"), [event(0)]);
    await client.tombstoneStream(stream("tomb"));
    await assert.rejects(client.appendToStream(stream("tomb"), [event(1)], { expectedRevision: ANY }), StreamDeletedError);
    await assert.rejects(all(client.readStream(stream("tomb"))), StreamDeletedError);
  },
  async "$all has them in order, both ways, and may be read from the position of an event"() {
    const forward = (await all(client.readAll())).filter(({ event: e }) => e?.streamId === stream("a"));
    assert.deepEqual(numbers(forward), [0, 1, 2, 3, 4]);
    const from = forward[2].event.position;
    const [first] = await all(client.readAll({ fromPosition: from, maxCount: 1 }));
    assert.equal(first.event.id, forward[2].event.id);
    const back = (await all(client.readAll({ direction: BACKWARDS, fromPosition: END }))).filter(({ event: e }) => e?.streamId === stream("a"));
    assert.deepEqual(numbers(back), [4, 3, 2, 1, 0]);
  },
  async "a subscription to a stream brings the past, then the future, after a revision"() {
    const seen = [];
    const subscription = client.subscribeToStream(stream("a"), { fromRevision: 3n });
    for await (const { event: e } of subscription) {
      seen.push(Number(e.revision));
      if (seen.length === 1) await client.appendToStream(stream("a"), [event(5)], { expectedRevision: 4n });
      if (seen.length === 2) break;
    }
    await subscription.unsubscribe();
    assert.deepEqual(seen, [4, 5]);
  },
  async "a subscription to $all is confirmed, filters, says once that it caught up, and goes on"() {
    const seen = [], said = [];
    const subscription = client.subscribeToAll({ fromPosition: START, filter: excludeSystemEvents({ maxSearchWindow: 32 }) });
    subscription.on("confirmation", () => said.push("confirmed"));
    let caughtUp = 0;
    await new Promise((resolve, reject) => {
      subscription.on("error", reject);
      subscription.on("caughtUp", () => { caughtUp++; client.appendToStream(stream("live"), [event(0)]).catch(reject); });
      subscription.on("data", ({ event: e }) => {
        assert.ok(!e.type.startsWith("$"), e.type);
        if (e.streamId.includes(run)) seen.push(e.streamId);
        if (e.streamId === stream("live")) resolve();
      });
    });
    await subscription.unsubscribe();
    assert.equal(seen.filter((s) => s === stream("a")).length, 6);
    assert.equal(seen.at(-1), stream("live"));
    assert.deepEqual(said, ["confirmed"]);
    assert.equal(caughtUp, 1);
  },
};

let failed = 0;
for (const [what, check] of Object.entries(checks)) {
  let limit;
  try {
    await Promise.race([
      check(),
      new Promise((_, reject) => { limit = setTimeout(() => reject(new Error("nothing came for 20 s")), 20_000); }),
    ]);
    console.log(`ok   ${what}`);
  } catch (e) {
    failed++;
    console.log(`FAIL ${what}: ${e.stack ?? e}`);
  } finally {
    clearTimeout(limit);
  }
}
console.log(`${Object.keys(checks).length - failed} of ${Object.keys(checks).length}`);
process.exit(failed ? 1 : 0);
