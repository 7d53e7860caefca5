package objstore

// Ended tells whether a writer has been committed or aborted.
func Ended(w *Writer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out == nil
}

// Mapped returns the bytes that the writers of a bucket hold outside Go's heap.
func Mapped(b *Bucket) int64 {
	if s, ok := b.store.(*s3Bucket); ok {
		return s.mapped.Load()
	}
	return 0
}
