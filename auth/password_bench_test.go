package auth

import "testing"

// BenchmarkPassword is what a login costs on purpose.
func BenchmarkPassword(b *testing.B) {
	h, err := newHasher(Config{}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	hash, err := h.hash(b.Context(), password)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, err := h.check(b.Context(), password, hash); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
