package job

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName is the longest file name that is kept, in bytes: what common file
// systems hold.
const maxFileName = 255

// CleanFileName makes a harmless name of what a user called a file: the last
// element of a path, without control characters, line ends and what cannot be seen
// (such as what turns the direction of text), in valid UTF-8, at most 255 bytes. It
// may be empty, and is never "." or "..". A clean name stays as it is.
func CleanFileName(s string) string {
	s = strings.ToValidUTF8(s, "")
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u200c', r == '\u200d': // spelling needs them, in Persian say, and so do emoji
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(cut(strings.TrimSpace(s), maxFileName))
	if strings.Trim(s, ".") == "" {
		return ""
	}
	return s
}

// cut returns the beginning of s that has at most so many bytes, in whole
// characters.
func cut(s string, most int) string {
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// MP3Name is the name that the MP3 of a job is offered under: that of the upload
// with its extension changed, "audio.mp3" if it had none. It is clean, see
// [CleanFileName].
func (j *Job) MP3Name() string {
	name := CleanFileName(j.FileName)
	if i := strings.LastIndexByte(name, '.'); i >= 0 && isExtension(name[i+1:]) {
		name = name[:i]
	}
	name = strings.TrimFunc(cut(name, maxFileName-len(".mp3")), func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
	if name == "" {
		name = "audio"
	}
	return name + ".mp3"
}

// isExtension reports whether what follows the last dot of a name is an extension
// such as mp4, 3gp or mpeg4. In "Symphony No. 5", "v1.2" and "Dr. No 1962" it is not.
func isExtension(s string) bool {
	letters := 0
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			letters++
		case r < '0' || r > '9':
			return false
		}
	}
	return letters > 0 && len(s) <= 5
}
