// What a page costs its main thread.
import type { CDPSession, Page } from '@playwright/test'

export interface Cost {
  /** Seconds that were measured. */
  wall: number
  /** CPU time of the main thread in percent of the wall time; it does not grow when the machine is busy with other things. */
  task: number
  script: number
  layout: number
  style: number
  /** Tasks of more than 50 ms on the clock, which do grow when the machine is busy. */
  longTasks: number
  longest: number
  /** Only where frames were counted, else NaN. */
  fps: number
  /** Frames that came more than half a frame late. */
  lateFrames: number
}

interface Watch {
  longTasks: number[]
  frames: number[]
}

/**
 * Measures a page from `start` to the call of what it returns. Counting frames makes the page draw all of them, which costs
 * more than many a page does by itself: CPU time and frames are measured in different runs.
 */
export async function start(page: Page, what: 'time' | 'frames' = 'time'): Promise<() => Promise<Cost>> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
  await page.evaluate((frames) => {
    const watch: Watch = { longTasks: [], frames: [] }
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) watch.longTasks.push(entry.duration)
    })
    observer.observe({ entryTypes: ['longtask'] })
    const frame = (time: number) => {
      watch.frames.push(time)
      requestAnimationFrame(frame)
    }
    if (frames) requestAnimationFrame(frame)
    Object.assign(window, { watch })
  }, what === 'frames')
  const before = await metrics(cdp)
  const begun = performance.now()
  return async () => {
    const after = await metrics(cdp)
    const wall = (performance.now() - begun) / 1000
    await cdp.detach()
    const watch = await page.evaluate(() => (window as unknown as { watch: Watch }).watch)
    const gaps = watch.frames.slice(1).map((time, i) => time - (watch.frames[i] ?? time))
    const percent = (name: string) => (((after.get(name) ?? 0) - (before.get(name) ?? 0)) / wall) * 100
    return {
      wall,
      task: percent('TaskDuration'),
      script: percent('ScriptDuration'),
      layout: percent('LayoutDuration'),
      style: percent('RecalcStyleDuration'),
      longTasks: watch.longTasks.length,
      longest: Math.max(0, ...watch.longTasks),
      fps: gaps.length / (gaps.reduce((a, b) => a + b, 0) / 1000),
      lateFrames: gaps.filter((gap) => gap > 25).length,
    }
  }
}

async function metrics(cdp: CDPSession): Promise<Map<string, number>> {
  const { metrics } = await cdp.send('Performance.getMetrics')
  return new Map(metrics.map((m) => [m.name, m.value]))
}
