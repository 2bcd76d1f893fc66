/**
 * Network namespaces for the suite, made and lost with one process: the run is started once more inside namespaces of its
 * own (network, mounts, processes), so that nothing of it is ever seen, or left, on the machine. Needs root and iproute2.
 */
import { execFileSync } from 'node:child_process'

/** Before a command: it runs in a world of its own, and all that it started ends with it. */
export const ownWorld: readonly string[] = [
  'unshare',
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--mount-proc',
  '--kill-child',
]

const prepare = 'ip link set lo up && mount -t tmpfs none /run'
const link = 'ip link add name near0 type veth peer name far0'

function shell(script: string): void {
  execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Why there can be no namespaces here; undefined: there can. */
export function whyNoNetworks(): string | undefined {
  const [command = '', ...args] = ownWorld
  try {
    execFileSync(command, [...args, 'sh', '-ec', `${prepare} && ip netns add far && ${link}`], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    const { stderr, message } = error as Error & { readonly stderr?: Buffer }
    const said = stderr?.toString().trim().split('\n', 1)[0]
    return `needs root and iproute2 (${said === undefined || said === '' ? message.split('\n', 1)[0] : said})`
  }
}

/** Address of the far side; the near side is 10.77.0.1. */
export const farHost = '10.77.0.2'
/** Before a command: it runs on the far side. */
export const onFarSide: readonly string[] = ['ip', 'netns', 'exec', 'far']

/** Inside {@link ownWorld}: makes loopback and a second machine, `far`, at the other end of a cable. */
export function makeFarSide(): void {
  shell(`${prepare}
    ip netns add far
    ${link}
    ip link set far0 netns far
    ip addr add 10.77.0.1/24 dev near0
    ip link set near0 up
    ip -n far addr add ${farHost}/24 dev far0
    ip -n far link set far0 up
    ip -n far link set lo up`)
}

/** The far side's cable is pulled, and put back: its address is gone, and the near side learns it by silence. */
export const linkDown = (): void => shell('ip -n far link set far0 down')
export const linkUp = (): void => shell('ip -n far link set far0 up')

/** All that the far side sends is dropped without a word: on its own side, since a sender would be told of a hole. */
export const dropPackets = (): void => shell('ip -n far route add blackhole 10.77.0.1/32')
export const passPackets = (): void => shell('ip -n far route del blackhole 10.77.0.1/32')
