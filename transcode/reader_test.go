package transcode

import "io"

// onlyWriter hides everything of a writer but Write.
type onlyWriter struct{ io.Writer }
