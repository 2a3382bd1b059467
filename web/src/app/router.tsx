// The routes. The chat is in the first script; everything else is fetched when it is opened.
import { useQuery } from '@tanstack/react-query'
import { type ComponentType, lazy, type ReactNode, Suspense } from 'react'
import { Redirect, Route, Switch, useLocation, useSearch } from 'wouter'
import { chatQuery, instanceQuery, meQuery, queryClient, usageNowQuery, usageReportQuery } from '../api/queries'
import type { Instance, Me } from '../api/types'
import { loadMarkdown } from '../chat/AssistantMessage'
import { ChatPage } from '../chat/ChatPage'
import { LoadFailed, NotFound, PageBoundary } from './Failures'
import { Shell } from './Shell'

const page = <K extends string>(load: () => Promise<Record<K, ComponentType>>, name: K) =>
  lazy(() => load().then((module) => ({ default: module[name] })))

const SetupPage = page(() => import('../account/SetupPage'), 'SetupPage')
const SignInPage = page(() => import('../account/SignInPage'), 'SignInPage')
const PendingPage = page(() => import('../account/PendingPage'), 'PendingPage')
const ProfilePage = page(() => import('../account/ProfilePage'), 'ProfilePage')
const ApiKeyPage = page(() => import('../account/ApiKeyPage'), 'ApiKeyPage')
const AppearancePage = page(() => import('../settings/AppearancePage'), 'AppearancePage')
const DataPolicyPage = page(() => import('../settings/DataPolicyPage'), 'DataPolicyPage')
const ConnectionsPage = page(() => import('../admin/ConnectionsPage'), 'ConnectionsPage')
const BackupsPage = page(() => import('../admin/BackupsPage'), 'BackupsPage')
const UsersPage = page(() => import('../admin/UsersPage'), 'UsersPage')
const BudgetsPage = page(() => import('../budgets/BudgetsPage'), 'BudgetsPage')
const loadUsage = () => import('../usage/UsagePage')
const UsagePage = page(loadUsage, 'UsagePage')

/** Asks for what the page at an address shows, and resolves when its script is there. */
export async function prefetchPage(path: string): Promise<void> {
  const chatId = /^\/c\/([\da-f-]{36})$/.exec(path)?.[1]
  if (chatId) {
    void queryClient.prefetchQuery(chatQuery(chatId))
    await loadMarkdown()
  } else if (path === '/settings/usage') {
    const script = loadUsage()
    const me = await queryClient.ensureQueryData(meQuery)
    if (me && me.role !== 'pending' && !location.search) {
      void queryClient.prefetchQuery(usageNowQuery(''))
      void queryClient.prefetchQuery(usageReportQuery('', 'model'))
    }
    await script
  }
}

/** A page whose script may have to be fetched first. */
function Loaded({ children }: { children: ReactNode }) {
  return (
    <PageBoundary>
      <Suspense fallback={null}>{children}</Suspense>
    </PageBoundary>
  )
}

/** Pages for people who are not signed in, or not yet approved. */
function Outside({ instance, me }: { instance: Instance; me: Me | null }) {
  const [path] = useLocation()
  const search = useSearch()
  if (instance.setup_needed) {
    if (path !== '/setup') return <Redirect to={search ? `/setup?${search}` : '/setup'} replace />
    return <SetupPage />
  }
  if (me?.role === 'pending') return path === '/pending' ? <PendingPage /> : <Redirect to="/pending" replace />
  if (path === '/setup' && instance.signup_open) return <SetupPage />
  if (path === '/signin') return <SignInPage />
  const back =
    path === '/' || path === '/pending' || path === '/setup'
      ? ''
      : `?next=${encodeURIComponent(path + (search && `?${search}`))}`
  return <Redirect to={`/signin${back}`} replace />
}

function Inside({ me }: { me: Me }) {
  const admin = me.role === 'admin'
  return (
    <Shell>
      <Loaded>
        <Switch>
          <Route path="/">
            <ChatPage key="new" chatId={undefined} />
          </Route>
          <Route path="/c/:chatId">{({ chatId }) => <ChatPage key={chatId} chatId={chatId} />}</Route>
          <Route path="/settings/profile" component={ProfilePage} />
          <Route path="/settings/appearance" component={AppearancePage} />
          <Route path="/settings/api-key" component={ApiKeyPage} />
          <Route path="/settings/data-policy" component={DataPolicyPage} />
          {admin && <Route path="/settings/connections" component={ConnectionsPage} />}
          {admin && <Route path="/settings/users" component={UsersPage} />}
          {admin && <Route path="/settings/backups" component={BackupsPage} />}
          <Route path="/settings/usage" component={UsagePage} />
          <Route path="/settings/budgets" component={BudgetsPage} />
          <Route path="/settings/*?">
            <Redirect to="/settings/profile" replace />
          </Route>
          <Route component={NotFound} />
        </Switch>
      </Loaded>
    </Shell>
  )
}

/** Where a person may be, by who they are. */
export function Pages() {
  const [path] = useLocation()
  const instance = useQuery(instanceQuery)
  const me = useQuery(meQuery)
  const error = instance.error ?? me.error
  if (instance.data && me.data !== undefined) {
    const person = me.data
    if (person && person.role !== 'pending' && !instance.data.setup_needed) {
      if (path === '/signin' || path === '/setup' || path === '/pending') return <Redirect to={nextPath()} replace />
      return <Inside me={person} />
    }
    return (
      <Loaded>
        <Outside instance={instance.data} me={person} />
      </Loaded>
    )
  }
  return error ? <LoadFailed error={error} /> : null
}

/** Where to go after signing in: only a path of this site. */
function nextPath(): string {
  const next = new URLSearchParams(location.search).get('next') ?? '/'
  return /^\/(?![/\\])/.test(next) ? next : '/'
}
