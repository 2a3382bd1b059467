/** The mark of the program. */
export function Logo() {
  return (
    <svg
      className="logo"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="2.6"
      strokeLinecap="round"
      aria-hidden="true"
    >
      <path d="M4 18.5v-8a4 4 0 0 1 8 0v8M12 10.5a4 4 0 0 1 8 0v8" />
    </svg>
  )
}
