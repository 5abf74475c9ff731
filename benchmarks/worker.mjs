// Runs the JavaScript handler as worker.py runs those in Python; the protocol is described there.
//
// usage: node worker.mjs MODULE

import { Console } from 'node:console'
import { createWriteStream, readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

globalThis.console = new Console(createWriteStream('/dev/null'))
const { handler } = await import(pathToFileURL(process.argv[2]))

const seconds = () => Number(process.hrtime.bigint()) / 1e9
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
const memory = (name) => {
  try {
    const line = readFileSync('/proc/self/status', 'utf8').split('\n').find((each) => each.startsWith(name))
    return Number(line.split(/\s+/)[1]) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

let cpu = 0
let wall = 0
let finished = 0
for await (const line of createInterface({ input: process.stdin, terminal: false })) {
  if (line === '') {
    const report = { cpu, wall, cpu_of_process: cpuSeconds(), finished, rss: memory('VmRSS'), peak: memory('VmHWM') }
    writeSync(1, `${JSON.stringify(report)}\n`)
    cpu = wall = 0
    continue
  }
  const event = JSON.parse(line)
  const started = seconds()
  const cpuBefore = cpuSeconds()
  const answer = await handler(event)
  finished = seconds()
  wall += finished - started
  cpu += cpuSeconds() - cpuBefore
  if (answer.batchItemFailures.length > 0) throw new Error(`records failed: ${JSON.stringify(answer)}`)
}
