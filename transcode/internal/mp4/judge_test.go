package mp4

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The judge is ffprobe. Where it is missing the tests fail, since they would prove
// nothing without.

// ffprobe returns in v what ffprobe prints of a file.
func ffprobe(t testing.TB, v any, file string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Fatal("the tests need ffprobe; `make test` installs it")
	}
	cmd := exec.Command("ffprobe", slices.Concat([]string{"-v", "error", "-of", "json"}, args, []string{file})...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v\n%s", file, err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, v); err != nil {
		t.Fatal(err)
	}
}

// testdata is the folder of test files.
const testdata = "../../../testdata"

// fixtures returns the files of testdata that can be converted, by their codecs.
func fixtures(t testing.TB) map[string][]string {
	t.Helper()
	list, err := os.ReadFile(filepath.Join(testdata, "FIXTURES.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(list)) {
		if fields := strings.Split(line, "\t"); len(fields) > 4 && fields[1] == "ok" {
			out[fields[4]] = append(out[fields[4]], filepath.Join(testdata, fields[0]))
		}
	}
	if len(out["aac"]) < 10 {
		t.Fatalf("FIXTURES.tsv lists too little: %v", out)
	}
	return out
}

// firstAudio opens a file and returns its first audio track.
func firstAudio(t testing.TB, file string) (*File, *Track) {
	t.Helper()
	r, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	info, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(r, info.Size(), roomy)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(f.Tracks, (*Track).Audio)
	if i < 0 {
		t.Fatal("no audio track")
	}
	return f, f.Tracks[i]
}

// TestSamplesLikeFFprobe compares the samples of the test files with the packets
// that ffprobe sees, for codecs whose samples it hands on as they are.
func TestSamplesLikeFFprobe(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	for _, codec := range []string{"aac", "alac", "amr_nb", "amr_wb", "flac", "opus", "vorbis"} {
		if len(all[codec]) == 0 {
			t.Errorf("there is no test file of %s", codec)
		}
		for _, file := range all[codec] {
			t.Run(filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				var probed struct {
					Packets []struct {
						DTS  int64  `json:"dts"`
						Size string `json:"size"`
						Pos  string `json:"pos"`
					} `json:"packets"`
				}
				ffprobe(t, &probed, file, "-ignore_editlist", "1", "-select_streams", "a:0",
					"-show_entries", "packet=pos,size,dts")
				_, track := firstAudio(t, file)
				got, err := walk(t, track, Packing{})
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(probed.Packets) || len(got) == 0 {
					t.Fatalf("%d samples, ffprobe sees %d packets", len(got), len(probed.Packets))
				}
				for i, p := range probed.Packets {
					s := got[i]
					if strconv.FormatInt(s.Offset, 10) != p.Pos || strconv.FormatInt(s.Size, 10) != p.Size || s.Time != p.DTS {
						t.Fatalf("sample %d is %+v, ffprobe sees %+v", i, s, p)
					}
					// A packet's own duration is 0 where ffprobe has not read on to the next one.
					if i+1 < len(got) && s.Duration != probed.Packets[i+1].DTS-p.DTS {
						t.Errorf("sample %d is %+v, ffprobe sees the next one at %d", i, s, probed.Packets[i+1].DTS)
					}
				}
			})
		}
	}
}

// save writes a file for ffprobe.
func save(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHeaderLikeFFprobe has ffprobe read the headers of tracks. It sees the same in
// them as in the files.
func TestHeaderLikeFFprobe(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	for _, codec := range []string{"aac", "alac", "amr_nb", "opus", "flac", "vorbis", "mp3", "ac3", "dts", "pcm_f32le", "adpcm_ima_qt"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			files := all[codec]
			var want, got struct {
				Streams []struct {
					Codec  string `json:"codec_name"`
					Tag    string `json:"codec_tag_string"`
					Config string `json:"extradata_hash"`
					Base   string `json:"time_base"`
				} `json:"streams"`
			}
			f, track := firstAudio(t, files[0])
			header, err := f.Header(track, 0)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"-select_streams", "a:0", "-show_streams", "-show_data_hash", "crc32"}
			ffprobe(t, &want, files[0], args...)
			ffprobe(t, &got, save(t, header), args...)
			if !slices.Equal(got.Streams, want.Streams) || len(got.Streams) != 1 {
				t.Errorf("%+v, in the file %+v", got, want)
			}
		})
	}
}

// TestTagsLikeFFprobe has ffprobe read the tags from the header made for them. It
// sees the same as in the file.
func TestTagsLikeFFprobe(t *testing.T) {
	t.Parallel()
	// Tags that say something of the file, and others under free names.
	left := []string{"major_brand", "minor_version", "compatible_brands", "creation_time", "iTunSMPB", "iTunNORM", "MusicBrainz Track Id"}
	for _, name := range []string{"audiobook.m4b", "waltz.m4a", "media/tags-all.m4a", "media/tags-quicktime.mov", "media/tags-mdta.mov", "media/tags-long-comment.m4a"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			var tags [2]map[string]string
			f, _ := firstAudio(t, filepath.Join(testdata, name))
			for i, file := range []string{filepath.Join(testdata, name), save(t, f.TagsHeader())} {
				var probed struct {
					Format struct {
						Tags map[string]string `json:"tags"`
					} `json:"format"`
				}
				ffprobe(t, &probed, file, "-show_entries", "format_tags")
				tags[i] = probed.Format.Tags
				maps.DeleteFunc(tags[i], func(key, _ string) bool { return slices.Contains(left, key) })
			}
			if !maps.Equal(tags[0], tags[1]) || len(tags[0]) == 0 {
				t.Errorf("%v\nin the file %v", tags[1], tags[0])
			}
		})
	}
}
