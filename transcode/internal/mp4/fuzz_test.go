package mp4

import (
	"bytes"
	"maps"
	"slices"
	"testing"
)

// FuzzOpen does with a file all that one can. Only errors of the package may come
// of it, samples that lie in the file, and not many more than fit in it.
func FuzzOpen(f *testing.F) {
	files := smallFiles()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f.Add(files[name])
		f.Add(files[name][:len(files[name])*2/3])
	}
	f.Add(cat(atom("ftyp", "M4A ", 0), atom("moov", pack(atom("moov", pack(nil))))))
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := exercise(t, bytes.NewReader(file), int64(len(file))); err != nil && !ours(err) {
			t.Fatal(err)
		}
	})
}
