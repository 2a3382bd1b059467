import { createContext, useContext } from 'react'

/** How pages and the frame around them share the sidebar. */
export interface SidebarControl {
  hidden: boolean
  toggle: () => void
  openDrawer: () => void
  closeDrawer: () => void
}

export const SidebarContext = createContext<SidebarControl>({
  hidden: false,
  toggle: () => {},
  openDrawer: () => {},
  closeDrawer: () => {},
})

export const useSidebar = () => useContext(SidebarContext)
