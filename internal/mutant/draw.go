package mutant

import (
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A File is a file to make mutants of. It is read when one is made.
type File struct {
	// Name is the path below the folder that was given, with slashes.
	Name string
	// Path is where it is.
	Path string
}

// Files lists the media below folders, in order. Files of more than largest bytes are left
// out, and so are tables and texts about the others.
func Files(largest int64, folders ...string) ([]File, error) {
	var files []File
	for _, folder := range folders {
		before := len(files)
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || slices.Contains([]string{".md", ".tsv"}, filepath.Ext(path)) {
				return err
			}
			info, err := e.Info()
			if err != nil || info.Size() > largest {
				return err
			}
			name, err := filepath.Rel(folder, path)
			files = append(files, File{filepath.ToSlash(name), path})
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, fmt.Errorf("no file of at most %d bytes in %s", largest, folder)
		}
	}
	return files, nil
}

// A Draw is a mutant that was drawn by lot.
type Draw struct {
	// Number of the draw, by which it is made again.
	Number int
	Mutant
}

// FileName is the name that the mutant has as a file: that of the mutant, short enough and
// without slashes, with the draw's number in front.
func (d Draw) FileName() string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/:()% ", r) || r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, d.Name)
	return fmt.Sprintf("%d-%.120s.mp4", d.Number, clean)
}

// At returns a draw: file after file in turn, of each some mutant, and each time that all
// files had theirs one of [Others]. It depends on nothing but the files, the seed and the
// number.
func At(files []File, seed uint64, number int) (Draw, error) {
	r := rand.New(rand.NewPCG(seed, uint64(number)))
	turn := number % (len(files) + 1)
	if turn == len(files) {
		others := Others(seed)
		return Draw{number, others[r.IntN(len(others))]}, nil
	}
	// The order is another in each round, so that a short run is no run over the same.
	order := rand.New(rand.NewPCG(seed, uint64(number/(len(files)+1)))).Perm(len(files))
	file := files[order[turn]]
	source, err := os.ReadFile(file.Path)
	if err != nil {
		return Draw{}, err
	}
	m := Of(source, seed).Pick(r)
	m.Name = file.Name + "/" + m.Name
	return Draw{number, m}, nil
}

// Each returns the draws from a number on, without end. It stops at the first error, which
// is that of reading a file.
func Each(files []File, seed uint64, from int) iter.Seq2[Draw, error] {
	return func(yield func(Draw, error) bool) {
		for n := from; ; n++ {
			d, err := At(files, seed, n)
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}
