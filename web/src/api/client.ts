// One place that speaks HTTP: JSON in and out, and every failure an ApiError with a sentence for the person.

export class ApiError extends Error {
  readonly status: number
  readonly code: string
  /** The whole error body, for the few answers that carry more than a sentence. */
  readonly body: unknown

  constructor(status: number, code: string, detail: string, body?: unknown) {
    super(detail)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.body = body
  }

  /** True when no answer came at all, so the request may or may not have been carried out. */
  get unreachable(): boolean {
    return this.status === 0
  }
}

let onUnauthenticated: () => void = () => {}

/** Says what to do when a session has ended; set once by the application. */
export function whenUnauthenticated(action: () => void): void {
  onUnauthenticated = action
}

/** Replies that came with the page, by address. Each is used once: what is asked for again is read again. */
const replies: Record<string, unknown> = JSON.parse(document.getElementById('replies')?.textContent || '{}')

export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const address = `/api/v1${path}`
  if (method === 'GET' && address in replies) {
    const reply = replies[address]
    delete replies[address]
    return reply as T
  }
  let response: Response
  try {
    response = await fetch(address, {
      method,
      headers: {
        'Accept-Language': document.documentElement.lang,
        ...(body === undefined ? { Accept: 'application/json' } : { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
    })
  } catch {
    throw new ApiError(0, 'unreachable', '')
  }
  if (response.ok) {
    const text = await response.text()
    return (text ? JSON.parse(text) : undefined) as T
  }
  const failure = await response.json().catch(() => ({}))
  if (response.status === 401 && !path.startsWith('/auths/sign') && path !== '/auths/me') onUnauthenticated()
  throw new ApiError(response.status, failure.code ?? 'internal', failure.detail ?? response.statusText, failure)
}

export const get = <T>(path: string) => request<T>('GET', path)
export const post = <T>(path: string, body: unknown = {}) => request<T>('POST', path, body)
export const put = <T>(path: string, body: unknown) => request<T>('PUT', path, body)
export const patch = <T>(path: string, body: unknown) => request<T>('PATCH', path, body)
export const del = <T>(path: string) => request<T>('DELETE', path)
