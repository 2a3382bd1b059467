// OpenRouter's own SDK against the simulator. It validates every reply, so a wrong one is an error of its own class.
import assert from 'node:assert/strict'
import { OpenRouter } from '@openrouter/sdk'
import { HTTPClient } from '@openrouter/sdk/lib/http.js'
import * as errors from '@openrouter/sdk/models/errors'
import { call, done, need, steer } from './suite.mjs'

const model = 'openai/gpt-5-mini'
const serverURL = need('API_URL')
const client = (apiKey, options) =>
  new OpenRouter({ apiKey, serverURL, httpReferer: 'https://mai.example', appTitle: 'mAI', retryConfig: { strategy: 'none' }, ...options })
const user = client(need('INFERENCE_KEY'))
const manager = client(need('MANAGEMENT_KEY'))

const ask = (content, more) => ({ chatRequest: { model, messages: [{ role: 'user', content }], ...more } })
const send = (directive, more) => user.chat.send(ask(steer('Hello', directive), more))
const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
}

/** Reads a stream to its end. */
async function collect(stream) {
  const all = { text: '', reasoning: '', details: 0, calls: [], chunks: 0 }
  for await (const chunk of stream) {
    all.chunks++
    all.id = chunk.id
    all.usage = chunk.usage ?? all.usage
    all.error = chunk.error ?? all.error
    all.metadata = chunk.openrouterMetadata ?? all.metadata
    for (const choice of chunk.choices) {
      all.text += choice.delta.content ?? ''
      all.reasoning += choice.delta.reasoning ?? ''
      all.details += choice.delta.reasoningDetails?.length ?? 0
      all.finish = choice.finishReason ?? all.finish
      for (const part of choice.delta.toolCalls ?? []) {
        all.calls[part.index] ??= { name: '', arguments: '' }
        all.calls[part.index].name += part.function?.name ?? ''
        all.calls[part.index].arguments += part.function?.arguments ?? ''
      }
    }
  }
  return all
}

let paid
await call('chat.send', async () => {
  const reply = await send({ tokens: 3, prompt_tokens: 7, cost: '7.1e-05' })
  assert.equal(reply.choices[0].message.content, 't1 t2 t3')
  assert.equal(reply.choices[0].finishReason, 'stop')
  assert.equal(reply.usage.cost, 7.1e-5)
  assert.deepEqual([reply.usage.promptTokens, reply.usage.completionTokens, reply.usage.totalTokens], [7, 3, 10])
  paid = reply.id
})
for (const shape of ['empty', 'repeat']) {
  await call(`chat.send streaming, usage chunk ${shape}`, async () => {
    const all = await collect(await send({ tokens: 4, cost: '0.5', usage_shape: shape }, { stream: true }))
    assert.equal(all.text, 't1 t2 t3 t4')
    assert.equal(all.usage.cost, 0.5)
    assert.equal(all.finish, 'stop')
  })
}
await call('chat.send cut at max_tokens', async () => {
  const reply = await user.chat.send(ask('Tell me of the sea', { maxTokens: 2 }))
  assert.equal(reply.choices[0].finishReason, 'length')
  assert.equal(reply.usage.completionTokens, 2)
})
for (const which of [model, 'anthropic/claude-sonnet-4.5', 'google/gemini-2.5-flash']) {
  await call(`chat.send with reasoning of ${which}`, async () => {
    const reply = await send({ answer: 'So.' }, { model: which, reasoning: { effort: 'low' } })
    assert.ok(reply.choices[0].message.reasoning)
    assert.ok(reply.choices[0].message.reasoningDetails.length > 0)
    assert.ok(reply.usage.completionTokensDetails.reasoningTokens > 0)
    const all = await collect(await send({ answer: 'So.' }, { model: which, reasoning: { effort: 'low' }, stream: true }))
    assert.equal(all.text, 'So.')
    assert.ok(all.reasoning && all.details > 0)
  })
}
await call('chat.send calling a function', async () => {
  const reply = await user.chat.send(ask('Weather?', { tools: [weather], toolChoice: 'required' }))
  assert.equal(reply.choices[0].finishReason, 'tool_calls')
  const [made] = reply.choices[0].message.toolCalls
  assert.equal(made.function.name, 'weather')
  assert.equal(typeof JSON.parse(made.function.arguments).city, 'string')
  const answered = await user.chat.send({
    chatRequest: {
      model,
      tools: [weather],
      toolChoice: 'none',
      messages: [
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content: null, toolCalls: [made] },
        { role: 'tool', toolCallId: made.id, content: 'sunny' },
      ],
    },
  })
  assert.equal(answered.choices[0].finishReason, 'stop')
})
await call('chat.send calling two functions, streaming', async () => {
  const directive = { tool_calls: ['Gdynia', 'Hel'].map((city) => ({ name: 'weather', arguments: { city } })) }
  const all = await collect(await send(directive, { tools: [weather], stream: true }))
  assert.deepEqual(all.calls.map((c) => JSON.parse(c.arguments).city), ['Gdynia', 'Hel'])
  assert.equal(all.finish, 'tool_calls')
})
const format = {
  type: 'json_schema',
  jsonSchema: { name: 'n', strict: true, schema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } },
}
await call('chat.send with a JSON schema', async () => {
  const reply = await user.chat.send(ask('A number', { responseFormat: format }))
  assert.equal(typeof JSON.parse(reply.choices[0].message.content).n, 'number')
})
await call('chat.send of a picture', async () => {
  const picture = { type: 'image_url', imageUrl: { url: 'data:image/png;base64,iVBORw0KGgo=' } }
  const reply = await user.chat.send(ask([{ type: 'text', text: 'What is it?' }, picture]))
  assert.ok(reply.choices[0].message.content)
})
await call('chat.send drawing a picture', async () => {
  const reply = await user.chat.send(ask('Draw', { model: 'google/gemini-2.5-flash-image', modalities: ['image', 'text'] }))
  assert.match(reply.choices[0].message.images[0].imageUrl.url, /^data:image\/png;base64,/)
})
await call('chat.send with a web search', async () => {
  const reply = await user.chat.send(ask('News?', { tools: [{ type: 'openrouter:web_search' }] }))
  assert.equal(reply.usage.serverToolUseDetails.webSearchRequests, 1)
})
await call('chat.send on an own key', async () => {
  const reply = await send({ byok: 'free' })
  assert.equal(reply.usage.cost, 0)
  assert.equal(reply.usage.isByok, true)
  assert.ok(reply.usage.costDetails.upstreamInferenceCost > 0)
})
await call('chat.send through a fallback, with metadata', async () => {
  const request = ask(steer('Hello', { down: ['openai'] }), { stream: true })
  const all = await collect(await user.chat.send({ ...request, xOpenRouterMetadata: 'enabled' }))
  assert.ok(all.metadata.attempt > 1)
})
await call('chat.send given up by its client', async () => {
  const abort = new AbortController()
  const stream = await user.chat.send(ask(steer('Hello', { tokens: 500, delay_ms: 20 }), { stream: true }), { signal: abort.signal })
  await assert.rejects(async () => {
    for await (const _ of stream) abort.abort()
  }, /abort/i)
})
for (const shape of ['empty', 'repeat']) {
  await call(`chat.send breaking in the middle, ${shape}`, async () => {
    const all = await collect(await send({ tokens: 6, fault: 'error_mid', usage_shape: shape }, { stream: true }))
    assert.equal(all.error.code, 502)
    assert.equal(all.text, 't1 t2 t3')
  })
}

const classes = {
  400: errors.BadRequestResponseError,
  401: errors.UnauthorizedResponseError,
  402: errors.PaymentRequiredResponseError,
  403: errors.ForbiddenResponseError,
  404: errors.NotFoundResponseError,
  408: errors.RequestTimeoutResponseError,
  413: errors.PayloadTooLargeResponseError,
  422: errors.UnprocessableEntityResponseError,
  429: errors.TooManyRequestsResponseError,
  500: errors.InternalServerResponseError,
  502: errors.BadGatewayResponseError,
  503: errors.ServiceUnavailableResponseError,
  524: errors.EdgeNetworkTimeoutResponseError,
  529: errors.ProviderOverloadedResponseError,
}
/** Demands the error of a status, by class and with OpenRouter's code inside. */
async function refused(status, promise) {
  const error = await promise.then(
    () => assert.fail(`not refused with ${status}`),
    (e) => e,
  )
  if (!(error instanceof classes[status])) throw error
  assert.equal(error.statusCode, status)
  assert.equal(error.error.code, status)
  assert.ok(error.error.message)
  return error
}
for (const status of Object.keys(classes).map(Number)) {
  await call(`chat.send refused with ${status}`, () => refused(status, send({ fault: `status:${status}` })))
}
await call('chat.send refused with 503, and tried again', async () => {
  let requests = 0
  const counted = new HTTPClient()
  counted.addHook('beforeRequest', () => {
    requests++
  })
  const patient = client(need('INFERENCE_KEY'), {
    httpClient: counted,
    retryConfig: { strategy: 'backoff', backoff: { initialInterval: 1, maxInterval: 5, exponent: 1, maxElapsedTime: 50 }, retryConnectionErrors: false },
  })
  await refused(503, patient.chat.send(ask(steer('Hello', { fault: 'status:503' })), { retryCodes: ['503'] }))
  assert.ok(requests > 1, `${requests} requests`)
})

await call('models.list', async () => {
  const page = await user.models.list()
  assert.ok(page.result.data.length > 5)
  assert.ok(page.result.data.every((m) => m.pricing.prompt && m.architecture))
})
await call('models.list in pages', async () => {
  let count = 0
  for await (const page of await user.models.list({ limit: 4, offset: 0 })) count += page.result.data.length
  assert.equal(count, (await user.models.count()).data.count)
})
await call('models.get', async () => {
  const { data } = await user.models.get({ author: 'openai', slug: 'gpt-5-mini' })
  assert.equal(data.id, model)
})
await call('models.get of none', () => refused(404, user.models.get({ author: 'no', slug: 'such' })))
await call('models.count', async () => assert.ok((await user.models.count()).data.count > 5))
await call('models.listForUser', async () => {
  const page = await user.models.listForUser({ bearer: need('INFERENCE_KEY') })
  assert.ok(page.result.data.length > 5)
})
await call('providers.list', async () => {
  const { data } = await user.providers.list()
  assert.ok(data.some((p) => p.slug === 'openai') && data.length > 20)
})
await call('endpoints.list', async () => {
  const { data } = await user.endpoints.list({ author: 'openai', slug: 'gpt-5-mini' })
  assert.ok(data.endpoints.length > 0)
})
await call('endpoints.list of none', () => refused(404, user.endpoints.list({ author: 'no', slug: 'such' })))
await call('endpoints.listZdrEndpoints', async () => assert.ok((await user.endpoints.listZdrEndpoints()).data.length > 0))
await call('generations.getGeneration', async () => {
  const { data } = await user.generations.getGeneration({ id: paid })
  assert.equal(data.totalCost, 7.1e-5)
  assert.equal(data.nativeTokensCompletion, 3)
})
await call('generations.getGeneration of none', () => refused(404, user.generations.getGeneration({ id: 'gen-none' })))
await call('embeddings.generate', async () => {
  const reply = await user.embeddings.generate({ requestBody: { model: 'openai/text-embedding-3-small', input: ['a', 'b'], dimensions: 8 } })
  assert.deepEqual(reply.data.map((d) => d.embedding.length), [8, 8])
  assert.ok(reply.usage.cost > 0)
})
await call('embeddings.generate in base64', async () => {
  const reply = await user.embeddings.generate({ requestBody: { model: 'openai/text-embedding-3-small', input: 'a', encodingFormat: 'base64' } })
  assert.equal(typeof reply.data[0].embedding, 'string')
})
await call('embeddings.listModels', async () => assert.ok((await user.embeddings.listModels()).result.data.length > 0))
await call('apiKeys.getCurrentKeyMetadata', async () => {
  const { data } = await user.apiKeys.getCurrentKeyMetadata()
  assert.equal(data.isManagementKey, false)
  assert.ok(data.usage > 0)
  assert.equal((await manager.apiKeys.getCurrentKeyMetadata()).data.isManagementKey, true)
})

let made
await call('apiKeys.create', async () => {
  made = await manager.apiKeys.create({ requestBody: { name: 'client 7', limit: 50, limitReset: 'monthly', expiresAt: new Date('2031-01-02T03:04:05Z') } })
  assert.match(made.key, /^sk-or-v1-[0-9a-f]{64}$/)
  assert.equal(made.data.limitRemaining, 50)
  assert.equal(made.data.externalUser, null)
})
await call('apiKeys.create for an external user', async () => {
  const { data } = await manager.apiKeys.create({ requestBody: { name: 'client 8', external: { user: 'c-8' } } })
  assert.equal(data.externalUser, 'c-8')
})
await call('apiKeys.create, and the key chats', async () => {
  const before = (await manager.apiKeys.get({ hash: made.data.hash })).data.usage
  await client(made.key).chat.send(ask(steer('Hello', { cost: '0.25' })))
  assert.equal((await manager.apiKeys.get({ hash: made.data.hash })).data.usage - before, 0.25)
})
await call('apiKeys.list', async () => {
  const { data } = await manager.apiKeys.list({ offset: 0, includeDisabled: true })
  assert.ok(data.some((k) => k.hash === made.data.hash && k.name === 'client 7'))
})
await call('apiKeys.update', async () => {
  const { data } = await manager.apiKeys.update({ hash: made.data.hash, requestBody: { limit: 0.1, disabled: false, limitReset: 'daily' } })
  assert.equal(data.limit, 0.1)
  assert.equal(data.limitRemaining, 0)
})
await call('apiKeys.update, and the key is at its limit', async () => {
  const error = await refused(403, client(made.key).chat.send(ask('Hello')))
  assert.match(error.error.message, /^Key limit exceeded \(daily limit\)/)
})
await call('apiKeys.delete', async () => assert.equal((await manager.apiKeys.delete({ hash: made.data.hash })).deleted, true))
await call('apiKeys.delete, and the key is unknown', () => refused(401, client(made.key).chat.send(ask('Hello'))))
await call('apiKeys.get of none', () => refused(404, manager.apiKeys.get({ hash: made.data.hash })))
await call('apiKeys.update of none', () => refused(404, manager.apiKeys.update({ hash: 'none', requestBody: { disabled: true } })))
await call('apiKeys.delete of none', () => refused(404, manager.apiKeys.delete({ hash: 'none' })))
await call('apiKeys.create without a management key', () => refused(403, user.apiKeys.create({ requestBody: { name: 'n' } })))
await call('apiKeys.create without a name', () => refused(400, manager.apiKeys.create({ requestBody: { name: '' } })))
await call('credits.getCredits', async () => {
  const { data } = await manager.credits.getCredits()
  assert.ok(data.totalCredits > data.totalUsage && data.totalUsage > 0)
})
await call('credits.getCredits without a management key', () => refused(403, user.credits.getCredits()))
await call('analytics.getUserActivity', async () => {
  const { data } = await manager.analytics.getUserActivity()
  const row = data.find((r) => r.model === model)
  assert.deepEqual([row.usage, row.requests, row.promptTokens, row.completionTokens, row.reasoningTokens], [0.25, 1, 7, 5, 2])
})
await call('analytics.getUserActivity of a key', async () => {
  assert.deepEqual((await manager.analytics.getUserActivity({ apiKeyHash: made.data.hash })).data, [])
})
await call('analytics.getUserActivity of a day too old', () => refused(400, manager.analytics.getUserActivity({ date: '2001-01-01' })))
await call('analytics.getUserActivity without a management key', () => refused(403, user.analytics.getUserActivity()))
await call('an unknown key', () => refused(401, client('sk-or-v1-unknown').apiKeys.getCurrentKeyMetadata()))
await call('a disabled key', () => refused(401, client(need('DISABLED_KEY')).chat.send(ask('Hello'))))
done()
