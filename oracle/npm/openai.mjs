// OpenAI's own client against the simulator and, as an employee's tools use it, against the workspace's gateway.
import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { call, done, need, seen, steer } from './suite.mjs'

const gateway = need('SERVER') === 'gateway'
const model = 'openai/gpt-5-mini'
let requests = 0
const open = (options) =>
  new OpenAI({
    apiKey: need('INFERENCE_KEY'),
    baseURL: need('API_URL'),
    maxRetries: 0,
    fetch: (...args) => {
      requests++
      return fetch(...args)
    },
    ...options,
  })
const openai = open()

const ask = (content, more) => ({ model, messages: [{ role: 'user', content }], ...more })
const create = (directive, more, options) => openai.chat.completions.create(ask(steer('Hello', directive), more), options)
const weather = {
  type: 'function',
  function: { name: 'weather', strict: true, parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false } },
}

/** What a usage must say: on the gateway the charge and nothing of what the provider pays. */
function paid(reply, cost, charge) {
  assert.equal(reply.usage.cost, gateway ? charge : cost)
  assert.equal('cost_details' in reply.usage, !gateway)
  seen(reply.id, reply.usage.cost)
}

/** Demands an error of a class and a status, with words. */
async function refused(status, type, promise) {
  const error = await promise.then(
    () => assert.fail(`not refused with ${status}`),
    (e) => e,
  )
  if (!(error instanceof type)) throw error
  assert.equal(error.status, status)
  assert.ok(error.error.message)
}

await call('chat.completions.create', async () => {
  const reply = await create({ tokens: 3, prompt_tokens: 7, cost: '0.1' })
  assert.equal(reply.choices[0].message.content, 't1 t2 t3')
  assert.deepEqual([reply.usage.prompt_tokens, reply.usage.completion_tokens], [7, 3])
  paid(reply, 0.1, 0.13)
})
for (const shape of ['empty', 'repeat']) {
  await call(`chat.completions.create streaming, usage chunk ${shape}`, async () => {
    let text = ''
    let last
    for await (const chunk of await create({ tokens: 4, cost: '7.1e-05', usage_shape: shape }, { stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? ''
      last = chunk
    }
    assert.equal(text, 't1 t2 t3 t4')
    paid(last, 7.1e-5, 9.23e-5)
  })
}
await call('chat.completions.stream', async () => {
  const stream = openai.chat.completions.stream(ask(steer('Hello', { tokens: 5, cost: '0.2' })))
  const reply = await stream.finalChatCompletion()
  assert.equal(reply.choices[0].message.content, 't1 t2 t3 t4 t5')
})
await call('chat.completions.create cut at max_completion_tokens', async () => {
  const reply = await create({ tokens: 9 }, { max_completion_tokens: 2 })
  assert.equal(reply.choices[0].finish_reason, 'length')
  seen(reply.id, reply.usage.cost)
})
await call('chat.completions.create with what clients like to send', async () => {
  const more = { temperature: 0.2, top_p: 0.9, stop: ['END'], seed: 7, user: 'someone', presence_penalty: 0.1, stream: true, stream_options: { include_usage: true } }
  let finish
  for await (const chunk of await create({ tokens: 2 }, more)) finish = chunk.choices[0]?.finish_reason ?? finish
  assert.equal(finish, 'stop')
})
await call('chat.completions.create calling a function, and its answer', async () => {
  const more = { tools: [weather], tool_choice: 'required' }
  const reply = await openai.chat.completions.create(ask('Weather?', more))
  assert.equal(reply.choices[0].finish_reason, 'tool_calls')
  const { message } = reply.choices[0]
  assert.equal(typeof JSON.parse(message.tool_calls[0].function.arguments).city, 'string')
  const answer = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sunny' }
  const next = await openai.chat.completions.create({ model, tools: [weather], messages: [{ role: 'user', content: 'Weather?' }, message, answer], tool_choice: 'none' })
  assert.equal(next.choices[0].finish_reason, 'stop')
})
await call('chat.completions.stream calling two functions', async () => {
  const directive = { tool_calls: ['Gdynia', 'Hel'].map((city) => ({ name: 'weather', arguments: { city } })) }
  const reply = await openai.chat.completions.stream(ask(steer('Weather?', directive), { tools: [weather] })).finalChatCompletion()
  assert.deepEqual(reply.choices[0].message.tool_calls.map((c) => JSON.parse(c.function.arguments).city), ['Gdynia', 'Hel'])
})
await call('chat.completions.parse of a JSON schema', async () => {
  const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'], additionalProperties: false }
  const reply = await openai.chat.completions.parse(ask('A number', { response_format: { type: 'json_schema', json_schema: { name: 'n', strict: true, schema } } }))
  assert.equal(typeof JSON.parse(reply.choices[0].message.content).n, 'number')
})
await call('chat.completions.create of a JSON object', async () => {
  const reply = await openai.chat.completions.create(ask('JSON', { response_format: { type: 'json_object' } }))
  assert.equal(typeof JSON.parse(reply.choices[0].message.content), 'object')
})
await call('chat.completions.create breaking in the middle', async () => {
  let text = ''
  const error = await (async () => {
    for await (const chunk of await create({ tokens: 6, fault: 'error_mid' }, { stream: true })) text += chunk.choices[0]?.delta?.content ?? ''
  })().catch((e) => e)
  assert.ok(error instanceof OpenAI.APIError, String(error))
  assert.equal(text, 't1 t2 t3')
})
await call('chat.completions.create given up by its client', async () => {
  const stream = await create({ tokens: 500, delay_ms: 10 }, { stream: true })
  let chunks = 0
  for await (const _ of stream) if (++chunks === 3) stream.controller.abort()
  assert.ok(chunks >= 3 && chunks < 400)
})
await call('models.list', async () => {
  const ids = []
  for await (const m of openai.models.list()) ids.push(m.id)
  assert.ok(ids.includes(model) && ids.length > 5)
})
if (gateway) {
  await call('embeddings.create, which the gateway does not have', () =>
    refused(404, OpenAI.NotFoundError, openai.embeddings.create({ model: 'openai/text-embedding-3-small', input: 'a' })))
  await call('chat.completions.create with a field that cannot be priced', () => refused(400, OpenAI.BadRequestError, create({}, { n: 2 })))
} else {
  for (const encoding_format of [undefined, 'float', 'base64']) {
    await call(`embeddings.create as ${encoding_format ?? 'the client likes it'}`, async () => {
      const reply = await openai.embeddings.create({ model: 'openai/text-embedding-3-small', input: ['a', 'b'], dimensions: 8, encoding_format })
      const lengths = reply.data.map((d) => d.embedding.length)
      assert.deepEqual(lengths, encoding_format === 'base64' ? [44, 44] : [8, 8])
    })
  }
  const classes = { 400: 'BadRequestError', 401: 'AuthenticationError', 403: 'PermissionDeniedError', 404: 'NotFoundError', 422: 'UnprocessableEntityError', 429: 'RateLimitError' }
  for (const status of [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529]) {
    const type = OpenAI[classes[status] ?? (status >= 500 ? 'InternalServerError' : 'APIError')]
    await call(`chat.completions.create refused with ${status}`, () => refused(status, type, create({ fault: `status:${status}` })))
  }
}
await call('chat.completions.create of an unknown model', () =>
  refused(400, OpenAI.BadRequestError, openai.chat.completions.create(ask('Hello', { model: 'no/such-model' }))))
await call('chat.completions.create with an unknown key', () =>
  refused(401, OpenAI.AuthenticationError, open({ apiKey: 'sk-unknown' }).chat.completions.create(ask('Hello'))))
await call('chat.completions.create refused for now, and tried again', async () => {
  requests = 0
  await create({ fault: 'status:429', retry_after: '1' }, {}, { maxRetries: 1 }).then(() => assert.fail('answered'), (e) => assert.ok(e.status >= 429, String(e)))
  assert.equal(requests, 2)
})
done()
