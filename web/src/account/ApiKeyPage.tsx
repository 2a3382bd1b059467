export function ApiKeyPage() { return null }
