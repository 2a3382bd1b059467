// The routes. The chat is in the first script; everything else is fetched when it is opened.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router'
import { instanceQuery, meQuery, queryClient } from '../api/queries'
import { ChatPage } from '../chat/ChatPage'
import { LoadFailed, NotFound } from './Failures'
import { Shell } from './Shell'

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound, errorComponent: LoadFailed })

const instance = () => queryClient.ensureQueryData(instanceQuery)
const me = () => queryClient.ensureQueryData(meQuery)

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  validateSearch: (search): { setup?: string } => ({ setup: typeof search.setup === 'string' ? search.setup : undefined }),
  beforeLoad: async () => {
    const { setup_needed, signup_open } = await instance()
    if (!setup_needed && !signup_open) throw redirect({ to: '/signin' })
    if (await me()) throw redirect({ to: '/' })
  },
  component: lazyRouteComponent(() => import('../account/SetupPage'), 'SetupPage'),
})

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/signin',
  validateSearch: (search): { next?: string } => ({ next: typeof search.next === 'string' ? search.next : undefined }),
  beforeLoad: async () => {
    if ((await instance()).setup_needed) throw redirect({ to: '/setup' })
    if (await me()) throw redirect({ to: '/' })
  },
  component: lazyRouteComponent(() => import('../account/SignInPage'), 'SignInPage'),
})

const pending = createRoute({
  getParentRoute: () => root,
  path: '/pending',
  component: lazyRouteComponent(() => import('../account/PendingPage'), 'PendingPage'),
})

/** Pages for people who are signed in and approved. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  component: Shell,
  beforeLoad: async ({ location }) => {
    const [about, person] = await Promise.all([instance(), me()])
    if (about.setup_needed) throw redirect({ to: '/setup', search: { setup: new URLSearchParams(location.searchStr).get('setup') ?? undefined } })
    if (!person) throw redirect({ to: '/signin', search: location.pathname === '/' ? {} : { next: location.href } })
    if (person.role === 'pending') throw redirect({ to: '/pending' })
  },
})

const newChat = createRoute({
  getParentRoute: () => inside,
  path: '/',
  component: () => <ChatPage key="new" chatId={undefined} />,
})

const chat = createRoute({
  getParentRoute: () => inside,
  path: '/c/$chatId',
  component: function OpenChat() {
    const { chatId } = chat.useParams()
    return <ChatPage key={chatId} chatId={chatId} />
  },
})

const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('../settings/SettingsPage'), 'SettingsPage'),
})

const settingsStart = createRoute({
  getParentRoute: () => settings,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/settings/profile' })
  },
})

const profile = createRoute({
  getParentRoute: () => settings,
  path: 'profile',
  component: lazyRouteComponent(() => import('../account/ProfilePage'), 'ProfilePage'),
})

const appearance = createRoute({
  getParentRoute: () => settings,
  path: 'appearance',
  component: lazyRouteComponent(() => import('../settings/AppearancePage'), 'AppearancePage'),
})

const apiKey = createRoute({
  getParentRoute: () => settings,
  path: 'api-key',
  component: lazyRouteComponent(() => import('../account/ApiKeyPage'), 'ApiKeyPage'),
})

const adminsOnly = async () => {
  if ((await me())?.role !== 'admin') throw redirect({ to: '/settings/profile' })
}

const connections = createRoute({
  getParentRoute: () => settings,
  path: 'connections',
  beforeLoad: adminsOnly,
  component: lazyRouteComponent(() => import('../admin/ConnectionsPage'), 'ConnectionsPage'),
})

const users = createRoute({
  getParentRoute: () => settings,
  path: 'users',
  beforeLoad: adminsOnly,
  component: lazyRouteComponent(() => import('../admin/UsersPage'), 'UsersPage'),
})

const usage = createRoute({
  getParentRoute: () => settings,
  path: 'usage',
  beforeLoad: adminsOnly,
  component: lazyRouteComponent(() => import('../usage/UsagePage'), 'UsagePage'),
})

export const router = createRouter({
  routeTree: root.addChildren([
    setup,
    signIn,
    pending,
    inside.addChildren([
      newChat,
      chat,
      settings.addChildren([settingsStart, profile, appearance, apiKey, connections, users, usage]),
    ]),
  ]),
  defaultPreload: 'intent',
  defaultPendingMs: 400,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
