// Runs calls one after the other and reports each in TAP, the oldest protocol of tests: "ok 1 - name".
let count = 0

/** Runs one call of a client; it fails by throwing. */
export async function call(name, body) {
  count++
  try {
    await body()
    console.log(`ok ${count} - ${name}`)
  } catch (error) {
    console.log(`not ok ${count} - ${name}`)
    for (const line of String(error?.stack ?? error).split('\n')) console.log(`# ${line}`)
    if (error?.cause) console.log(`# cause: ${error.cause.message ?? error.cause}`)
    if (error?.rawMessage ?? error?.body) console.log(`# reply: ${String(error.body ?? JSON.stringify(error.rawMessage)).slice(0, 2000)}`)
  }
}

/** Ends the report: a client that stopped half way has no plan. */
export function done() {
  console.log(`1..${count}`)
}

/** Tells the caller what a client was told that a generation costs. */
export function seen(id, cost) {
  console.log(`# seen ${JSON.stringify({ id, cost })}`)
}

/** The directive that steers the simulator, as text of a message. */
export const steer = (text, directive) => `${text} [[sim: ${JSON.stringify(directive)}]]`

export function need(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}
