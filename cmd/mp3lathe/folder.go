package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// familyExtensions are those of the MP4 family, which a folder is searched for.
var familyExtensions = []string{
	".mp4", ".m4v", ".m4a", ".m4b", ".m4p", ".m4r", ".mov", ".qt", ".mqv",
	".3gp", ".3gpp", ".3g2", ".3gp2", ".f4v", ".f4a", ".f4b", ".isma", ".ismv",
}

// otherFormats are the extensions of other sound and video, which cannot be
// meant as the name of an MP3.
var otherFormats = map[string]bool{
	".wav": true, ".flac": true, ".ogg": true, ".oga": true, ".opus": true, ".aac": true, ".wma": true,
	".aiff": true, ".aif": true, ".ac3": true, ".mp2": true, ".mka": true, ".mkv": true, ".webm": true,
	".avi": true, ".wmv": true, ".mpg": true, ".mpeg": true, ".ts": true, ".flv": true,
}

func extension(name string) string { return strings.ToLower(filepath.Ext(name)) }

func isFamily(name string) bool { return slices.Contains(familyExtensions, extension(name)) }

// walk calls found for every file of the MP4 family in the folder root, at any
// depth, in lexical order, with the path of its folder from root on. Hidden
// files and folders are left out. A link to a file counts as a file; links to
// folders are not followed, so that there are no loops. What cannot be read is
// found with an error.
func walk(root string, found func(file, below string, err error)) {
	var descend func(dir, below string)
	descend = func(dir, below string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			found(dir, below, err)
		}
		for _, entry := range entries {
			name := entry.Name()
			path := filepath.Join(dir, name)
			switch {
			case strings.HasPrefix(name, "."):
			case entry.IsDir():
				descend(path, filepath.Join(below, name))
			case !isFamily(name):
			case entry.Type().IsRegular():
				found(path, below, nil)
			case entry.Type()&fs.ModeSymlink != 0:
				if info, err := os.Stat(path); err != nil {
					found(path, below, err)
				} else if info.Mode().IsRegular() {
					found(path, below, nil)
				}
			}
		}
	}
	descend(root, "")
}
