package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestConvertOne(t *testing.T) {
	workFolder(t, "a b.mp4", "melody.mp4")
	got := inProcess(t, "", "convert", "a b.mp4")
	got.want(t, exitDone)
	line := regexp.MustCompile(`^a b\.mp4 -> a b\.mp3  0:10  \d+ KiB  [0-9.]+x  VBR 2, 44\.1 kHz stereo\n$`)
	if !line.MatchString(got.stdout) {
		t.Errorf("the line is %q", got.stdout)
	}
	isMP3(t, read(t, "a b.mp3"))
	sameFiles(t, "a b.mp4", "a b.mp3")
}

// The file of an ordinary user has the rights that the umask leaves.
func TestFileMode(t *testing.T) {
	workFolder(t, "a.mp4", "camera.mov")
	inProcess(t, "", "convert", "a.mp4").want(t, exitDone)
	write(t, "plain", nil)
	got, err := os.Stat("a.mp3")
	if err != nil {
		t.Fatal(err)
	}
	if plain, _ := os.Stat("plain"); got.Mode() != plain.Mode() {
		t.Errorf("mode %v, want %v", got.Mode(), plain.Mode())
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	workFolder(t, "a.mp4", "camera.mov")
	write(t, "a.mp3", []byte("precious"))
	for _, args := range []string{"a.mp4", "a.mp4 a.mp3", "a.mp4 -o a.mp3", "a.mp4 -d ."} {
		got := inProcess(t, "", append([]string{"convert"}, strings.Fields(args)...)...)
		got.want(t, exitFailed, "mp3lathe: a.mp4: its output a.mp3 exists; --overwrite replaces it\n")
	}
	got := inProcess(t, "", "convert", "--skip-existing", "a.mp4")
	got.want(t, exitDone)
	if got.stdout != "a.mp4 skipped, a.mp3 exists\n" {
		t.Errorf("printed %q", got.stdout)
	}
	if string(read(t, "a.mp3")) != "precious" {
		t.Fatal("a.mp3 was overwritten")
	}
	inProcess(t, "", "convert", "--overwrite", "a.mp4").want(t, exitDone)
	isMP3(t, read(t, "a.mp3"))
	sameFiles(t, "a.mp4", "a.mp3")
}

// An output that appears during the work is not overwritten either.
func TestOutputThatAppears(t *testing.T) {
	workFolder(t)
	err := writeFile("x.mp3", false, false, func(w io.Writer) error {
		write(t, "x.mp3", []byte("precious"))
		_, err := w.Write([]byte("new"))
		return err
	})
	if e := explain(err, asked{}); e.Code != codeExists {
		t.Errorf("error %v", err)
	}
	if string(read(t, "x.mp3")) != "precious" {
		t.Error("overwritten")
	}
	sameFiles(t, "x.mp3")
}

func TestFailureLeavesNothing(t *testing.T) {
	workFolder(t, "cut.m4a", "media/bad-cut-mdat.m4a")
	inProcess(t, "", "convert", "cut.m4a").want(t, exitFailed, "cut.m4a: the file is cut off", "--allow-partial\n")
	inProcess(t, "", "convert", "cut.m4a", "kept.mp3", "--overwrite").want(t, exitFailed, "cut.m4a")
	sameFiles(t, "cut.m4a")

	write(t, "old.mp3", []byte("precious"))
	inProcess(t, "", "convert", "cut.m4a", "old.mp3", "--overwrite").want(t, exitFailed, "cut.m4a")
	if string(read(t, "old.mp3")) != "precious" {
		t.Error("a failure replaced the old output")
	}

	got := inProcess(t, "", "convert", "--allow-partial", "cut.m4a")
	got.want(t, exitDone)
	if !strings.Contains(got.stdout, "  (partial: ") {
		t.Errorf("no word of it: %s", got.stdout)
	}
	isMP3(t, read(t, "cut.mp3"))
}

// A link in place of the output stays a link, and what it points to is replaced.
func TestOverwriteThroughLink(t *testing.T) {
	workFolder(t, "a.mp4", "camera.mov")
	write(t, "real/old.mp3", []byte("old"))
	if err := os.Symlink(filepath.Join("real", "old.mp3"), "a.mp3"); err != nil {
		t.Fatal(err)
	}
	inProcess(t, "", "convert", "--overwrite", "a.mp4").want(t, exitDone)
	isMP3(t, read(t, "real/old.mp3"))
	if info, err := os.Lstat("a.mp3"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("a.mp3 is no link any more: %v", err)
	}
}

// Every refusal is one line with the file, what is wrong, and what to do.
func TestRefusals(t *testing.T) {
	workFolder(t,
		"silent.mp4", "media/bad-video-only.mp4", "text.mp4", "media/bad-text.mp4", "ac4.mp4", "media/bad-codec-ac4.mp4",
		"drm.mp4", "media/bad-cenc.mp4", "cut.m4a", "media/bad-cut-mdat.m4a", "good.mp4", "melody.mp4")
	if err := os.Mkdir("folder.mp4", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"silent.mp4", "mp3lathe: silent.mp4: no audio track (REST); there is nothing to convert"},
		{"text.mp4", "mp3lathe: text.mp4: not a usable MP4 file (REST); if it plays elsewhere, save it again as MP4 there"},
		{"ac4.mp4", "mp3lathe: ac4.mp4: unsupported codec ac4; look with mp3lathe probe for a track that can be decoded, or save the audio as AAC elsewhere"},
		{"drm.mp4", "mp3lathe: drm.mp4: the audio is encrypted; get a copy without copy protection"},
		{"cut.m4a", "mp3lathe: cut.m4a: the file is cut off (REST); download or copy it again, or keep what there is with --allow-partial"},
		{"missing.mp4", "mp3lathe: missing.mp4: no such file; check the name"},
		{"https://example.org/a.mp4", "mp3lathe: https://example.org/a.mp4: addresses are not opened; download it first and give the file"},
		{"--track 7 good.mp4", "mp3lathe: good.mp4: no audio track (REST); mp3lathe probe shows what the file has"},
		{"--lang xyz good.mp4", "mp3lathe: good.mp4: no audio track (REST); mp3lathe probe shows what the file has"},
		{"--start 1h good.mp4", "mp3lathe: good.mp4: start 1h0m0s is not before the end of the audio (10s); mp3lathe probe shows what the file has"},
		{"--max-duration 2s good.mp4", "mp3lathe: good.mp4: limit exceeded (REST); if you trust the file, raise --max-duration, or convert a part with --start and --end"},
		{"good.mp4 there/is/none.mp3", "mp3lathe: good.mp4: there is no folder there/is; make it, or use --output-dir, which does"},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := inProcess(t, "", append([]string{"convert"}, strings.Fields(c.args)...)...)
			got.want(t, exitFailed, "")
			pattern := strings.ReplaceAll(regexp.QuoteMeta(c.want), `\(REST\)`, `\([^\n]+\)`)
			if !regexp.MustCompile("^" + pattern + "\n$").MatchString(got.stderr) {
				t.Errorf("got  %swant %s", got.stderr, c.want)
			}
		})
	}
	sameFiles(t, "silent.mp4", "text.mp4", "ac4.mp4", "drm.mp4", "cut.m4a", "good.mp4")
}

func TestNoRights(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may do everything")
	}
	workFolder(t, "a.mp4", "camera.mov", "secret.mp4", "camera.mov")
	if err := os.Chmod("secret.mp4", 0); err != nil {
		t.Fatal(err)
	}
	inProcess(t, "", "convert", "secret.mp4").want(t, exitFailed, "secret.mp4: permission denied")
	if err := os.Mkdir("locked", 0o555); err != nil {
		t.Fatal(err)
	}
	inProcess(t, "", "convert", "a.mp4", "locked").want(t, exitFailed, "locked: permission denied; choose another place")
}

// The lines come in the order of the inputs, whatever ends first, and one that
// fails does not keep the others from being done.
func TestManyInOrder(t *testing.T) {
	names := []string{"long.mp4", "melody.mp4", "bad.mp4", "media/bad-text.mp4"}
	args := []string{"convert", "--jobs", "4", "-d", "new/out", "long.mp4", "bad.mp4"}
	want := []string{"long.mp4 -> new/out/long.mp3"}
	for i := range 12 {
		name := fmt.Sprintf("s%02d.mov", i)
		names = append(names, name, "camera.mov")
		args = append(args, name)
		want = append(want, fmt.Sprintf("s%02d.mov -> new/out/s%02[1]d.mp3", i))
	}
	workFolder(t, names...)
	got := inProcess(t, "", args...)
	got.want(t, exitFailed, "mp3lathe: bad.mp4: not a usable MP4 file", "mp3lathe: 1 of 14 inputs failed\n")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	for i, line := range lines {
		if i >= len(want) || !strings.HasPrefix(line, want[i]+"  ") {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
	for line := range strings.SplitSeq(strings.Join(want, "\n"), "\n") {
		_, out, _ := strings.Cut(line, " -> ")
		isMP3(t, read(t, out))
	}
}

func TestTree(t *testing.T) {
	workFolder(t, "in/a.mp4", "camera.mov", "in/b/c.m4a", "waltz.m4a", "in/b/.d.mp4", "camera.mov", "in/e/träumend 夢.mp4", "träumend 夢.mp4")
	inProcess(t, "", "convert", "-r", "in", "out", "-q").want(t, exitDone)
	for _, name := range []string{"out/a.mp3", "out/b/c.mp3", "out/e/träumend 夢.mp3"} {
		isMP3(t, read(t, name))
	}
	// Once more, as after an interruption.
	if err := os.Remove("out/b/c.mp3"); err != nil {
		t.Fatal(err)
	}
	got := inProcess(t, "", "convert", "-r", "in", "out", "--skip-existing", "--json")
	got.want(t, exitDone)
	var statuses []string
	for _, o := range objects(t, got.stdout) {
		statuses = append(statuses, o["status"].(string))
	}
	if strings.Join(statuses, " ") != "skipped done skipped" {
		t.Errorf("statuses %v", statuses)
	}
}

func TestQuiet(t *testing.T) {
	workFolder(t, "a.mp4", "camera.mov", "bad.mp4", "media/bad-text.mp4")
	got := inProcess(t, "", "convert", "-q", "a.mp4", "bad.mp4")
	got.want(t, exitFailed, "mp3lathe: bad.mp4:")
	if got.stdout != "" {
		t.Errorf("printed %q", got.stdout)
	}
}

func TestConvertJSON(t *testing.T) {
	workFolder(t, "a.m4a", "waltz.m4a", "bad.mp4", "media/bad-video-only.mp4", "ac4.mp4", "media/bad-codec-ac4.mp4",
		"cut.m4a", "media/bad-cut-mdat.m4a")
	got := inProcess(t, "", "convert", "--json", "--allow-partial", "a.m4a", "bad.mp4", "ac4.mp4", "cut.m4a", "none.mp4")
	got.want(t, exitFailed, "mp3lathe: bad.mp4: ")
	list := objects(t, got.stdout)
	if len(list) != 5 {
		t.Fatalf("%d objects", len(list))
	}
	done := strings.Fields("bytes_read bytes_written channels codec copied decode_errors duration_seconds encoding " +
		"frames input output partial sample_rate samples speed status track wall_seconds")
	if k := keys(list[0]); !slices.Equal(k, done) {
		t.Errorf("the fields are %v", k)
	}
	for field, want := range map[string]any{
		"input": "a.m4a", "output": "a.mp3", "status": "done", "encoding": "VBR 2", "sample_rate": 44100.0, "channels": 2.0,
		"codec": "aac", "track": 1.0, "copied": false, "partial": false, "bytes_written": float64(len(read(t, "a.mp3"))),
	} {
		if list[0][field] != want {
			t.Errorf("%s is %v, want %v", field, list[0][field], want)
		}
	}
	if d := list[0]["duration_seconds"].(float64); d < 9.9 || d > 10.1 {
		t.Errorf("duration_seconds is %v", d)
	}
	if k := keys(list[1]); !slices.Equal(k, strings.Fields("error input output status")) {
		t.Errorf("the fields of a failure are %v", k)
	}
	for i, code := range map[int]string{1: "no_audio", 2: "unsupported_codec", 4: "not_found"} {
		e, _ := list[i]["error"].(map[string]any)
		if list[i]["status"] != "failed" || e["code"] != code || e["message"] == "" {
			t.Errorf("object %d is %v", i, list[i])
		}
	}
	if codec := list[2]["error"].(map[string]any)["codec"]; codec != "ac4" {
		t.Errorf("codec is %v", codec)
	}
	if reason, _ := list[3]["partial_reason"].(map[string]any); list[3]["partial"] != true || reason["code"] != "truncated" {
		t.Errorf("the partial one is %v", list[3])
	}
}

func TestSettings(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4", "cover.m4a", "waltz.m4a", "mp3.mp4", "media/mp3-cbr.mp4")
	write(t, "cover.png", []byte("\x89PNG\r\n\x1a\n picture"))
	for _, c := range []struct{ args, line string }{
		{"a.mp4 --bitrate 192", "0:10  ~  CBR 192, 44.1 kHz stereo"},
		{"a.mp4 -b 64k --channels mono --rate 22.05k", "0:10  ~  CBR 64, 22.05 kHz mono"},
		{"a.mp4 --abr=128 --channels 2", "0:10  ~  ABR 128, 44.1 kHz stereo"},
		{"a.mp4 --vbr 0", "0:10  ~  VBR 0, 44.1 kHz stereo"},
		{"a.mp4 --start 0:02 --end 5.5", "0:03.5  ~  VBR 2, 44.1 kHz stereo"},
		{"a.mp4 --start 8s --duration 1", "0:01.0  ~  VBR 2, 44.1 kHz stereo"},
		{"a.mp4 --track 1 --max-duration none", "0:10  ~  VBR 2, 44.1 kHz stereo"},
		{"mp3.mp4", "~  MP3 copied, 44.1 kHz mono"},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := inProcess(t, "", append([]string{"convert", "--overwrite"}, strings.Fields(c.args)...)...)
			got.want(t, exitDone)
			pattern := strings.ReplaceAll(regexp.QuoteMeta(c.line), "~", `\d+ KiB  \d+(\.\d)?x`)
			if !regexp.MustCompile(pattern + "\n$").MatchString(got.stdout) {
				t.Errorf("got %s", got.stdout)
			}
		})
	}
	tagged := func(args ...string) []byte {
		inProcess(t, "", append([]string{"convert", "--overwrite", "--id3v24", "cover.m4a"}, args...)...).want(t, exitDone)
		return read(t, "cover.mp3")
	}
	for _, c := range []struct {
		args       []string
		with, lack string
	}{
		{nil, "Waltz in A Minor|image/jpeg", "image/png"},
		{[]string{"--title", "A, B = C", "--tag", "genre=Jazz, cool"}, "A, B = C|Jazz, cool|The Test Signals", "Waltz in A Minor"},
		{[]string{"--no-tags", "--tag", "Album-Artist=Me"}, "Me", "The Test Signals"},
		{[]string{"--no-cover"}, "Waltz in A Minor", "image/jpeg"},
		{[]string{"--cover", "cover.png"}, "image/png", "image/jpeg"},
	} {
		data := tagged(c.args...)
		for text := range strings.SplitSeq(c.with, "|") {
			if !bytes.Contains(data, []byte(text)) {
				t.Errorf("%v: the MP3 lacks %q", c.args, text)
			}
		}
		if bytes.Contains(data, []byte(c.lack)) {
			t.Errorf("%v: the MP3 has %q", c.args, c.lack)
		}
	}
}

func TestInOrder(t *testing.T) {
	items := make([]int, 50)
	for i := range items {
		items[i] = i
	}
	var running, most atomic.Int64
	var emitted []int
	inOrder(3, items, func(i int) int {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Duration(i%7) * 100 * time.Microsecond)
		runtime.Gosched()
		running.Add(-1)
		return i
	}, func(i int) { emitted = append(emitted, i) })
	if !slices.Equal(emitted, items) {
		t.Errorf("emitted %v", emitted)
	}
	if most.Load() > 3 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestCanceledBeforehand(t *testing.T) {
	workFolder(t, "a.mp4", "camera.mov", "b.mp4", "camera.mov")
	var stdout, stderr bytes.Buffer
	code := run(canceledContext(t), []string{"convert", "--json", "a.mp4", "b.mp4"}, nil, &stdout, &stderr)
	if code != exitInterrupted || stderr.String() != "mp3lathe: interrupted; 0 of 2 inputs are done, no unfinished file is left\n" {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
	for _, o := range objects(t, stdout.String()) {
		if o["status"] != "canceled" || o["error"].(map[string]any)["code"] != "canceled" {
			t.Errorf("object %v", o)
		}
	}
	sameFiles(t, "a.mp4", "b.mp4")
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"träumend 夢.mp4": "träumend 夢.mp4", "a\nb": `a\nb`, "\x1b[31mred": `\x1b[31mred`, "bad\xffbyte": "bad\ufffdbyte",
		"\u202etxt.mp4": `\u202etxt.mp4`, "tab\there": `tab\there`,
	} {
		if got := printable(s); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
	workFolder(t, "e\x1b[31m\nvil.mp4", "camera.mov")
	got := inProcess(t, "", "convert", "e\x1b[31m\nvil.mp4")
	got.want(t, exitDone)
	if strings.Contains(got.stdout, "\x1b") || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("printed %q", got.stdout)
	}
}
