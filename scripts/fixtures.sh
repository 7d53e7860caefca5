#!/usr/bin/env bash
# Makes every file in testdata, and testdata/FIXTURES.tsv, which says what each
# of them is and how many PCM samples it presents.
#
#   scripts/fixtures.sh          make them all
#   scripts/fixtures.sh check    decode the good ones with ffmpeg and compare
#
# All sound and pictures are synthesised here; nothing is recorded or copied.
# The files in the repository came from Debian 12's ffmpeg 5.1 together with its
# libavcodec-extra, which has the AMR encoders. Without those the AMR files are
# left as they are. Two runs on one machine give the same bytes; another
# processor or another ffmpeg may round differently, but the sample counts stay,
# and the last step compares them with a count of the boxes.
set -euo pipefail

cd "$(dirname "$0")/.."
data=testdata
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fx=$tmp/fixtures
go build -buildvcs=false -o "$fx" ./scripts/fixtures

if [ "${1-}" = check ]; then
	# ffmpeg 5.1 does not trim the padding of the last frame, so it may give up
	# to a frame or two more than the table says, and it leaves out the silence
	# of empty edits. It must not give less, except where the notes name it.
	status=0
	while IFS=$'\t' read -r file expected _ track _ rate channels samples silence _ _ notes; do
		[ "$expected" = ok ] || continue
		got=$(ffmpeg -nostdin -v error -i "$data/$file" -map "0:a:$((track - 1))" -f s16le - 2>"$tmp/err" | wc -c) || true
		got=$((got / 2 / channels))
		want=$((samples - silence))
		verdict=$((got - want))
		if [ $verdict -lt 0 ] && [[ $notes == *'ffmpeg 5.1'* ]]; then
			verdict="$verdict, see its notes"
		elif [ $verdict -lt 0 ]; then
			verdict="$verdict MISSING"
			status=1
		fi
		printf '%-34s %6s Hz %8d %8d  %+s  %s\n' "$file" "$rate" "$want" "$got" "$verdict" "$(head -n 1 "$tmp/err")"
	done < <(tail -n +2 "$data/FIXTURES.tsv" | sed 's/\t\t/\t-\t/g')
	exit $status
fi

mkdir -p "$data/media"
rows=$tmp/rows

# wav NAME KEY=VALUE...: a source signal of exactly n samples per channel.
wav() {
	local name=$1
	shift
	"$fx" wav "$tmp/$name.wav" "$@"
}

# enc OUT OPTIONS...: ffmpeg with nothing in the output that differs by run.
enc() {
	local out=$1
	shift
	ffmpeg -nostdin -hide_banner -loglevel error -y "$@" -threads 1 \
		-fflags +bitexact -flags:v +bitexact -flags:a +bitexact "$out"
}

# edit OUT IN OP...: change boxes.
edit() {
	local out=$1 in=$2
	shift 2
	"$fx" edit "$in" "$out" "$@"
}

# row FILE EXPECTED CODEC RATE CHANNELS SAMPLES WHAT [NOTES [TRACK]]
#
# EXPECTED is the outcome, with a "/" before every other one that would be right.
# TRACK is the number of the audio track to convert. A "~" before SAMPLES means
# that the boxes are known to give another number, for the reason in the notes.
row() {
	printf '%s|%s|%s|%s|%s|%s|%s|%s|%s\n' "$1" "$2" "${9-1}" "$3" "$4" "$5" "$6" "$7" "${8-}" >>"$rows"
}

# ok FILE CODEC RATE CHANNELS SAMPLES WHAT [NOTES [TRACK]]
ok() {
	local file=$1
	shift
	row "$file" ok "$@"
}

# bad FILE CODE WHAT [NOTES]
bad() { row "$1" "$2" - - - - "$3" "${4-}" -; }

x264=(-c:v libx264 -preset veryslow -pix_fmt yuv420p)
m=$data/media

# ---------------------------------------------------------------- sources

wav ode kind=melody tune=ode rate=44100 n=441011 ch=2
wav waltz kind=melody tune=waltz rate=44100 n=441017 ch=2
wav waltz48 kind=melody tune=waltz rate=48000 n=288007 ch=2
wav speech24 kind=speech rate=24000 n=144013 ch=1
wav speech8 kind=speech rate=8000 n=8011 ch=1
wav speech8long kind=speech rate=8000 n=32003 ch=1
wav speech16 kind=speech rate=16000 n=16011 ch=1
wav mono kind=chord rate=44100 n=44103 ch=1
wav stereo kind=chord rate=44100 n=44103 ch=2
wav small kind=chord rate=22050 n=22051 ch=1
wav stereo22 kind=chord rate=22050 n=11027 ch=2
wav mono48 kind=chord rate=48000 n=48007 ch=1
wav stereo48 kind=chord rate=48000 n=24007 ch=2

# ---------------------------------------------------------------- demos

# Cover art: a frame of a fractal.
enc "$tmp/cover.jpg" -f lavfi -i mandelbrot=s=240x240:start_x=-0.65:start_y=0:start_scale=2.6 -frames:v 1 -q:v 6
enc "$tmp/cover.png" -f lavfi -i testsrc2=s=96x96 -frames:v 1

enc "$data/melody.mp4" -f lavfi -i testsrc2=s=320x180:r=15:d=10 -i "$tmp/ode.wav" \
	"${x264[@]}" -crf 34 -c:a aac -b:a 96k -movflags +faststart -movie_timescale 44100 \
	-metadata title='Ode to Joy on a Music Box' -metadata artist='The Test Signals' \
	-metadata album='Demonstrations' -metadata date=2024 -metadata track=1/3
ok melody.mp4 aac 44100 2 441011 'Demo: test pattern and a melody, 10 s, with tags'

enc "$data/waltz.m4a" -i "$tmp/waltz.wav" -i "$tmp/cover.jpg" -map 0:a -map 1:v \
	-c:a aac -b:a 96k -c:v copy -disposition:v:0 attached_pic -movie_timescale 44100 \
	-metadata title='Waltz in A Minor' -metadata artist='The Test Signals' \
	-metadata album_artist='Various Oscillators' -metadata album='Demonstrations' \
	-metadata composer='A. Generator' -metadata genre='Waltz' -metadata date=2024 \
	-metadata track=2/3 -metadata disc=1/1
ok waltz.m4a aac 44100 2 441017 'Demo: music with tags and a JPEG cover, 10 s' \
	'The cover is an attached picture, not a video track.'

enc "$data/träumend 夢.mp4" -f lavfi -i testsrc=s=240x180:r=12:d=6 -i "$tmp/waltz48.wav" \
	"${x264[@]}" -crf 34 -c:a aac -b:a 80k -movie_timescale 48000 \
	-metadata title='Träumend 夢 🌙' -metadata artist='Ünïcödé & 日本語' -metadata album='Ελληνικά, Русский'
ok 'träumend 夢.mp4' aac 48000 2 288007 'Demo: Unicode in the name and the tags, 6 s' \
	'The file name is in composed form (NFC).'

wav camera kind=chord rate=32000 n=64003 ch=1
enc "$data/camera.mov" -f lavfi -i smptehdbars=s=320x180:r=15:d=2 -i "$tmp/camera.wav" \
	"${x264[@]}" -crf 32 -c:a pcm_s16le -metadata title='Colour bars'
ok camera.mov pcm_s16le 32000 1 64003 'Demo: QuickTime, colour bars and uncompressed sound, 2 s'

enc "$data/audiobook.m4b" -i "$tmp/speech24.wav" -i scripts/fixtures/chapters.txt \
	-map 0:a -map_metadata 1 -map_chapters 1 -c:a aac -b:a 32k -f ipod -movie_timescale 24000
ok audiobook.m4b aac 24000 1 144013 'Demo: audio book with three chapters, 6 s' \
	'Chapters both as a text track and as a chpl box.'

# ---------------------------------------------------------------- AMR

encoders=$(ffmpeg -hide_banner -encoders 2>/dev/null)
if [[ $encoders == *libvo_amrwbenc* ]]; then
	enc "$data/phone.3gp" -f lavfi -i testsrc=s=176x144:r=10:d=4 -i "$tmp/speech8long.wav" \
		-c:v h263 -q:v 12 -c:a libopencore_amrnb -b:a 12.2k -metadata title='Voice memo' -metadata artist='A. Phone'
	enc "$m/amr-nb.3gp" -i "$tmp/speech8.wav" -c:a libopencore_amrnb -b:a 12.2k
	enc "$m/amr-nb-475.3gp" -i "$tmp/speech8.wav" -c:a libopencore_amrnb -b:a 4.75k -use_editlist 0
	enc "$m/amr-wb.3gp" -i "$tmp/speech16.wav" -c:a libvo_amrwbenc -b:a 12.65k
	enc "$m/amr-wb-no-edit.3gp" -i "$tmp/speech16.wav" -c:a libvo_amrwbenc -b:a 12.65k -use_editlist 0
	enc "$m/amr-wb.3g2" -i "$tmp/speech16.wav" -c:a libvo_amrwbenc -b:a 23.85k
else
	echo "fixtures.sh: this ffmpeg cannot encode AMR; those files are left alone" >&2
fi
ok phone.3gp amr_nb 8000 1 32003 'Demo: as from an old phone, H.263 and AMR, 4 s'
ok media/amr-nb.3gp amr_nb 8000 1 8011 'AMR-NB at 12.2 kbit/s'
ok media/amr-nb-475.3gp amr_nb 8000 1 8061 'AMR-NB at 4.75 kbit/s, no edit list' \
	'The source had 8011 samples; the 50 of the encoder delay are presented too.'
ok media/amr-wb.3gp amr_wb 16000 1 16240 'AMR-WB at 12.65 kbit/s' \
	'The source had 16011 samples; the padding of the last frames is not marked.'
ok media/amr-wb-no-edit.3gp amr_wb 16000 1 16320 'AMR-WB, no edit list' \
	'The source had 16011 samples; 51 whole frames.'
ok media/amr-wb.3g2 amr_wb 16000 1 16240 '3GPP2 file with AMR-WB at 23.85 kbit/s' \
	'As amr-wb.3gp.'

# ---------------------------------------------------------------- AAC

pattern=(-f lavfi -i "testsrc2=s=160x90:r=12:d=1")
lc=(-c:a aac -b:a 48k)

enc "$m/aac-moov-last.mp4" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 "${lc[@]}"
ok media/aac-moov-last.mp4 aac 44100 1 44103 'H.264 and AAC, moov after mdat' \
	'The edit says 1000 ms although 44103 samples are 1000.07 ms: times in ms cannot do better. The last stts duration is shortened and exact.'
enc "$m/aac-moov-first.mp4" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 "${lc[@]}" -movflags +faststart
ok media/aac-moov-first.mp4 aac 44100 1 44103 'H.264 and AAC, moov before mdat'
enc "$m/aac.m4a" -i "$tmp/mono.wav" "${lc[@]}"
ok media/aac.m4a aac 44100 1 44103 'AAC alone, as .m4a'
enc "$m/aac.m4v" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 "${lc[@]}" -brand 'M4V '
ok media/aac.m4v aac 44100 1 44103 'H.264 and AAC, as .m4v'
enc "$m/aac.mov" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 "${lc[@]}"
ok media/aac.mov aac 44100 1 44103 'H.264 and AAC in QuickTime' 'The esds is inside a wave box.'
enc "$m/aac.3gp" -i "$tmp/stereo22.wav" "${lc[@]}"
ok media/aac.3gp aac 22050 2 11027 'AAC in 3GPP'
enc "$m/aac.3g2" -i "$tmp/stereo22.wav" "${lc[@]}"
ok media/aac.3g2 aac 22050 2 11027 'AAC in 3GPP2'
edit "$m/aac-co64.mp4" "$m/aac-moov-last.mp4" co64 wide=mdat
ok media/aac-co64.mp4 aac 44100 1 44103 '64-bit mdat size and 64-bit chunk offsets'
enc "$m/aac-main.mp4" -i "$tmp/mono.wav" "${lc[@]}" -profile:a aac_main -aac_pred 1
ok media/aac-main.mp4 aac 44100 1 44103 'AAC Main profile'
enc "$m/aac-ltp.mp4" -i "$tmp/mono.wav" "${lc[@]}" -profile:a aac_ltp -aac_ltp 1 -strict -2
ok media/aac-ltp.mp4 aac 44100 1 44103 'AAC LTP profile'
enc "$m/aac-stereo.m4a" -i "$tmp/stereo.wav" -c:a aac -b:a 96k
ok media/aac-stereo.m4a aac 44100 2 44103 'AAC stereo, another sound on each side' \
	'Right is one octave above left.'
wav tiny kind=chord rate=44100 n=101 ch=1
enc "$m/aac-tiny.m4a" -i "$tmp/tiny.wav" "${lc[@]}" -movie_timescale 44100
ok media/aac-tiny.m4a aac 44100 1 101 'Shorter than one frame'

for rate in 8000 11025 12000 16000 22050 24000 32000 44100 48000 88200 96000; do
	n=$((rate / 2 + 7))
	wav rate kind=chirp rate=$rate n=$n ch=1
	enc "$m/aac-$rate.m4a" -i "$tmp/rate.wav" -c:a aac -b:a 40k -movie_timescale $rate
	note=
	[ $rate -le 65535 ] || note='The rate does not fit the sample entry; it is in the esds and mdhd only.'
	ok media/aac-$rate.m4a aac $rate 1 $n "AAC at $rate Hz" "$note"
done

# HE-AAC as far as the headers go: Debian has no encoder for it.
wav core kind=chord rate=22050 n=22051 ch=2
enc "$tmp/he.m4a" -i "$tmp/core.wav" -c:a aac -b:a 48k -movie_timescale 22050
edit "$m/aac-he-signalled.m4a" "$tmp/he.m4a" sbr
ok media/aac-he-signalled.m4a aac 44100 2 44102 'HE-AAC announced in the esds, core at 22050 Hz' \
	'The frames hold no SBR data, so a decoder only upsamples. mdhd and sample entry have the rate of the core; rate and samples here are those of the output.'
enc "$tmp/he2.m4a" -i "$tmp/small.wav" -c:a aac -b:a 40k -movie_timescale 22050
edit "$m/aac-he-v2-signalled.m4a" "$tmp/he2.m4a" sbr=ps
ok media/aac-he-v2-signalled.m4a aac 44100 2 44102 'HE-AAC v2 announced in the esds, mono core at 22050 Hz' \
	'As aac-he-signalled.m4a; without PS data both channels are the same.'

# ---------------------------------------------------------------- channels

six=400,500,600,60,700,800
eight=400,500,600,60,900,1000,700,800
# The other coder of ffmpeg gets the level of pure tones wrong by up to 1 dB.
tone=(-c:a aac -b:a 192k -aac_coder fast)
layout='L 400 Hz, R 500, C 600, LFE 60, Ls 700, Rs 800, each a sine at -12 dBFS.'
wav six48 kind=tones rate=48000 n=48007 freqs=$six level=-12
wav six8 kind=tones rate=8000 n=8009 freqs=$six level=-12
wav eight kind=tones rate=48000 n=24007 freqs=$eight level=-12
wav loud kind=tones rate=48000 n=24007 freqs=100,100,100,100,100,100 level=0
wav loud2 kind=tones rate=44100 n=22051 freqs=440,440 level=0

enc "$m/aac-5.1.mp4" -i "$tmp/six48.wav" "${tone[@]}"
ok media/aac-5.1.mp4 aac 48000 6 48007 'AAC 5.1, one tone per channel' "$layout"
enc "$m/pcm-5.1.mov" -i "$tmp/six8.wav" -c:a pcm_s16le
ok media/pcm-5.1.mov pcm_s16le 8000 6 8009 'PCM 5.1, one tone per channel' "$layout"
enc "$m/aac-7.1.mp4" -i "$tmp/eight.wav" "${tone[@]}"
ok media/aac-7.1.mp4 aac 48000 8 24007 'AAC 7.1 by program config element, one tone per channel' \
	'L 400 Hz, R 500, C 600, LFE 60, back L 900, back R 1000, side L 700, side R 800, each a sine at -12 dBFS.'
enc "$m/aac-7.1-front.mp4" -i "$tmp/eight.wav" -af 'channelmap=0|1|2|3|4|5|6|7:7.1(wide)' "${tone[@]}"
ok media/aac-7.1-front.mp4 aac 48000 8 24007 'AAC channel configuration 7, one tone per channel' \
	'L 400 Hz, R 500, C 600, LFE 60, back L 900, back R 1000, front L of centre 700, front R of centre 800, each a sine at -12 dBFS. Some decoders take the configuration for plain 7.1.'
enc "$m/aac-5.1-full.mp4" -i "$tmp/loud.wav" -c:a aac -b:a 512k -aac_tns 0
ok media/aac-5.1-full.mp4 aac 48000 6 24007 'AAC 5.1, every channel the same full-scale 100 Hz sine' \
	'A downmix without scaling clips. The decoded levels are within 0.6 dB of full scale.'
wav loud8 kind=tones rate=8000 n=4003 freqs=100,100,100,100,100,100 level=0
enc "$m/pcm-5.1-full.mov" -i "$tmp/loud8.wav" -c:a pcm_s16le
ok media/pcm-5.1-full.mov pcm_s16le 8000 6 4003 'PCM 5.1, every channel the same full-scale 100 Hz sine' \
	'A downmix without scaling clips.'
enc "$m/aac-stereo-full.m4a" -i "$tmp/loud2.wav" -c:a aac -b:a 64k
ok media/aac-stereo-full.m4a aac 44100 2 22051 'AAC stereo, full-scale 440 Hz sine' \
	'The decoded peaks exceed full scale a little.'

# ---------------------------------------------------------------- PCM

wav pcm16 kind=chord rate=22050 n=11027 ch=2
wav pcm24 kind=chord rate=48000 n=4801 ch=2 format=s24
wav pcm32f kind=chord rate=48000 n=4801 ch=1 format=f32
same16='The same 16-bit samples as in pcm-s16le.mov.'
same24='The same 24-bit samples as in pcm-s24be.mov.'

enc "$m/pcm-s16le.mov" -i "$tmp/pcm16.wav" -c:a pcm_s16le
ok media/pcm-s16le.mov pcm_s16le 22050 2 11027 'PCM 16 bit little-endian (sowt)'
enc "$m/pcm-s16be.mov" -i "$tmp/pcm16.wav" -c:a pcm_s16be
ok media/pcm-s16be.mov pcm_s16be 22050 2 11027 'PCM 16 bit big-endian (twos)' "$same16"
enc "$m/pcm-s24be.mov" -i "$tmp/pcm24.wav" -c:a pcm_s24be
ok media/pcm-s24be.mov pcm_s24be 48000 2 4801 'PCM 24 bit big-endian (in24)'
enc "$m/pcm-s24le.mov" -i "$tmp/pcm24.wav" -c:a pcm_s24le
ok media/pcm-s24le.mov pcm_s24le 48000 2 4801 'PCM 24 bit little-endian (in24 with enda)' "$same24"
enc "$m/pcm-s32be.mov" -i "$tmp/pcm24.wav" -c:a pcm_s32be
ok media/pcm-s32be.mov pcm_s32be 48000 2 4801 'PCM 32 bit (in32)' "$same24"
enc "$m/pcm-f32le.mov" -i "$tmp/pcm32f.wav" -c:a pcm_f32le
ok media/pcm-f32le.mov pcm_f32le 48000 1 4801 'PCM 32-bit float little-endian (fl32 with enda)'
enc "$m/pcm-f64be.mov" -i "$tmp/pcm32f.wav" -c:a pcm_f64be
ok media/pcm-f64be.mov pcm_f64be 48000 1 4801 'PCM 64-bit float (fl64)' 'The same values as in pcm-f32le.mov.'
enc "$m/pcm-u8.mov" -i "$tmp/speech8.wav" -c:a pcm_u8
ok media/pcm-u8.mov pcm_u8 8000 1 8011 'PCM unsigned 8 bit (raw)'
enc "$m/pcm-s8.mov" -i "$tmp/speech8.wav" -c:a pcm_s8
ok media/pcm-s8.mov pcm_s8 8000 1 8011 'PCM signed 8 bit (sowt with 8 bits)'
enc "$m/pcm-alaw.mov" -i "$tmp/speech8.wav" -c:a pcm_alaw
ok media/pcm-alaw.mov pcm_alaw 8000 1 8011 'G.711 A-law'
enc "$m/pcm-mulaw.mov" -i "$tmp/speech8.wav" -c:a pcm_mulaw
ok media/pcm-mulaw.mov pcm_mulaw 8000 1 8011 'G.711 mu-law'
wav high kind=chirp rate=192000 n=19201 ch=1
enc "$m/pcm-192000.mov" -i "$tmp/high.wav" -c:a pcm_s16le
ok media/pcm-192000.mov pcm_s16le 192000 1 19201 'PCM at 192 kHz (lpcm, version 2 sample entry)'
wav odd kind=chirp rate=37800 n=11341 ch=1
enc "$m/pcm-37800.mov" -i "$tmp/odd.wav" -c:a pcm_s16le
ok media/pcm-37800.mov pcm_s16le 37800 1 11341 'PCM at 37.8 kHz, a rate MP3 does not have'
edit "$m/pcm-ipcm.mp4" "$m/pcm-s16be.mov" brand=mp42 ipcm
row media/pcm-ipcm.mp4 ok/unsupported_codec pcm_s16be 22050 2 11027 'PCM in MP4 (ipcm, ISO 23003-5)' \
	"$same16"

# ---------------------------------------------------------------- other codecs

enc "$m/alac-16.m4a" -i "$tmp/pcm16.wav" -c:a alac
ok media/alac-16.m4a alac 22050 2 11027 'Apple Lossless, 16 bit' "$same16"
enc "$m/alac-24.m4a" -i "$tmp/pcm24.wav" -c:a alac -sample_fmt s32p
ok media/alac-24.m4a alac 48000 2 4801 'Apple Lossless, 24 bit' "$same24"
enc "$m/alac.mov" -i "$tmp/pcm16.wav" -c:a alac
ok media/alac.mov alac 22050 2 11027 'Apple Lossless in QuickTime' "$same16"
enc "$m/flac.mp4" -i "$tmp/pcm16.wav" -c:a flac -strict -2
ok media/flac.mp4 flac 22050 2 11027 'FLAC, 16 bit' "$same16"
enc "$m/flac-24.mp4" -i "$tmp/pcm24.wav" -c:a flac -strict -2
ok media/flac-24.mp4 flac 48000 2 4801 'FLAC, 24 bit' "$same24"
enc "$m/opus.mp4" -i "$tmp/stereo48.wav" -c:a libopus -b:a 48k
ok media/opus.mp4 opus 48000 2 24007 'Opus' 'The edit drops the 312 samples of pre-skip, which dOps has too.'
enc "$m/mp3-cbr.mp4" -i "$tmp/mono.wav" -c:a libmp3lame -b:a 48k
ok media/mp3-cbr.mp4 mp3 44100 1 44103 'MP3 in MP4, constant bit rate' 'The edit drops 1105 samples of delay.'
enc "$m/mp3-vbr.mp4" -i "$tmp/mono.wav" -c:a libmp3lame -q:a 5
ok media/mp3-vbr.mp4 mp3 44100 1 44103 'MP3 in MP4, variable bit rate' 'The edit drops 1105 samples of delay.'
enc "$m/mp3-22050.mp4" -i "$tmp/small.wav" -c:a libmp3lame -b:a 32k
ok media/mp3-22050.mp4 mp3 22050 1 22051 'MPEG-2 layer III in MP4 (object type 0x69)'
enc "$m/mp3.mov" -i "$tmp/mono.wav" -c:a libmp3lame -b:a 48k
ok media/mp3.mov mp3 44100 1 44103 'MP3 in QuickTime (.mp3)'
edit "$m/mp3-ms.mov" "$m/mp3.mov" fourcc=0x6d730055
ok media/mp3-ms.mov mp3 44100 1 44103 'MP3 in QuickTime by its WAVE tag (ms 0x0055)'
enc "$m/mp2.mp4" -i "$tmp/mono.wav" -c:a mp2 -b:a 64k
ok media/mp2.mp4 mp2 44100 1 44447 'MPEG-1 layer II in MP4' \
	'The object type 0x6B stands for all layers, so it may be called mp3 at first. The source had 44103 samples; the padding of the last frame is not marked.'
padding='the padding of the last frame is not marked, the edit drops the 256 samples of delay.'
wav half51 kind=tones rate=48000 n=24007 freqs=$six level=-12
enc "$m/ac3-5.1.mp4" -i "$tmp/half51.wav" -c:a ac3 -b:a 320k
ok media/ac3-5.1.mp4 ac3 48000 6 24320 'AC-3 5.1, one tone per channel' "$layout The source had 24007 samples; $padding"
enc "$m/eac3-5.1.mp4" -i "$tmp/half51.wav" -c:a eac3 -b:a 256k
ok media/eac3-5.1.mp4 eac3 48000 6 24320 'E-AC-3 5.1, one tone per channel' "$layout The source had 24007 samples; $padding"
wav dts kind=chord rate=48000 n=9607 ch=2
enc "$m/dts.mp4" -i "$tmp/dts.wav" -c:a dca -strict -2 -b:a 512k
ok media/dts.mp4 dts 48000 2 9728 'DTS in MP4 (object type 0xA9)' 'The source had 9607 samples; 19 frames of 512, the first of which is the delay of the encoder.'
enc "$m/dts.mov" -i "$tmp/dts.wav" -c:a dca -strict -2 -b:a 512k
ok media/dts.mov dts 48000 2 9728 'DTS in QuickTime (dtsc)' 'The source had 9607 samples; 19 frames of 512, the first of which is the delay of the encoder.'
enc "$m/truehd.mp4" -i "$tmp/dts.wav" -c:a truehd -strict -2
ok media/truehd.mp4 truehd 48000 2 9607 'Dolby TrueHD (mlpa)'
enc "$m/vorbis.mp4" -i "$tmp/stereo.wav" -c:a libvorbis -q:a 1
ok media/vorbis.mp4 vorbis 44100 2 44103 'Vorbis in MP4 (object type 0xDD)' \
	'A widespread private use of MP4. The edit drops 128 ticks, the length the muxer gives to the first packet, which decodes to nothing.'
enc "$m/ima4.mov" -i "$tmp/stereo22.wav" -c:a adpcm_ima_qt
ok media/ima4.mov adpcm_ima_qt 22050 2 11072 'IMA ADPCM of QuickTime (ima4)' \
	'The source had 11027 samples; 173 packets of 64.'
enc "$m/gsm.mov" -i "$tmp/speech8.wav" -c:a libgsm
ok media/gsm.mov gsm 8000 1 8160 'GSM 06.10 (agsm)' 'The source had 8011 samples; 51 frames of 160.'
enc "$m/ms-adpcm.mov" -i "$tmp/speech8.wav" -c:a adpcm_ms
ok media/ms-adpcm.mov adpcm_ms 8000 1 8144 'Microsoft ADPCM (ms 0x0002)' 'The source had 8011 samples; whole blocks.'

# ---------------------------------------------------------------- fragments

frag=(-movflags +empty_moov+default_base_moof)
enc "$m/frag-video.mp4" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 -bf 0 -g 4 "${lc[@]}" \
	-movflags +frag_keyframe+empty_moov+default_base_moof
ok media/frag-video.mp4 aac 44100 1 45127 'Fragmented, H.264 and AAC, one fragment per key frame' \
	'The source had 44103 samples; with the index up front there is no edit list, so the 1024 of the encoder delay are presented too.'
enc "$m/frag-b-frames.mp4" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 -g 8 "${lc[@]}" \
	-movflags +frag_keyframe+empty_moov+default_base_moof
ok media/frag-b-frames.mp4 aac 44100 1 '~45127' 'Fragmented, with B-frames' \
	'To line the sound up with the pictures, the muxer has made the first audio frame last longer than its 1024 samples in the trun. The count is that of the frames; by the table there would be more.'
enc "$m/frag-dash.mp4" -i "$tmp/mono.wav" "${lc[@]}" -movflags +dash+delay_moov+global_sidx -frag_duration 250000
ok media/frag-dash.mp4 aac 44100 1 44103 'Fragmented as for DASH, with sidx and edit list' \
	'The duration of the edit is 0: to the end. ffmpeg 5.1 gives the 1024 samples of delay a negative time and decodes them too.'
enc "$m/frag-audio.m4a" -i "$tmp/mono.wav" "${lc[@]}" "${frag[@]}" -frag_duration 200000
ok media/frag-audio.m4a aac 44100 1 45127 'Fragmented, AAC alone, no edit list' 'As frag-video.mp4.'
enc "$m/frag-each-frame.mp4" -i "$tmp/small.wav" "${lc[@]}" -movflags +frag_every_frame+empty_moov+default_base_moof+skip_trailer
ok media/frag-each-frame.mp4 aac 22050 1 23075 'Fragmented, one moof per frame, no mfra' \
	'The source had 22051 samples; no edit list, so 1024 more.'
enc "$m/frag-offset.mp4" -i "$tmp/mono.wav" "${lc[@]}" -movflags +empty_moov+delay_moov -frag_duration 300000
ok media/frag-offset.mp4 aac 44100 1 44103 'Fragmented the old way, with absolute base offsets' \
	'With edit list; as frag-dash.mp4.'
enc "$m/frag-mixed.mp4" -i "$tmp/mono.wav" "${lc[@]}" -movflags +frag_custom -frag_duration 300000
ok media/frag-mixed.mp4 aac 44100 1 45127 'Fragmented, but the first samples are in the moov' \
	'No edit list, so 1024 more than the source.'
enc "$m/frag-separate.mp4" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 -bf 0 -g 4 "${lc[@]}" \
	-movflags +frag_keyframe+empty_moov+default_base_moof+separate_moof
ok media/frag-separate.mp4 aac 44100 1 45127 'Fragmented, a moof for each track' 'As frag-video.mp4.'
enc "$m/frag-flac.mp4" -i "$tmp/pcm16.wav" -c:a flac -strict -2 "${frag[@]}" -frag_duration 200000
ok media/frag-flac.mp4 flac 22050 2 11027 'Fragmented FLAC' "$same16"
"$fx" cut "$m/frag-audio.m4a" "$m/frag-cut-clean.m4a" mdat 3 100
ok media/frag-cut-clean.m4a aac 44100 1 27648 'Fragmented, ends cleanly after three fragments' \
	'A live recording that was stopped: nothing in the file says that there should be more.'

# ---------------------------------------------------------------- edit lists

# Times in samples, so that nothing is rounded.
exact=(-movie_timescale 44100)
enc "$tmp/edit.m4a" -i "$tmp/mono.wav" "${lc[@]}" "${exact[@]}"
edit "$m/edit-none.m4a" "$tmp/edit.m4a" no-edits frame=1024
ok media/edit-none.m4a aac 44100 1 46080 'No edit list, all frames whole' \
	'45 frames; the source had 44103 samples, of which nothing is known here.'
edit "$m/edit-smpb.m4a" "$tmp/edit.m4a" no-edits frame=1024 smpb=1024,953,44103
ok media/edit-smpb.m4a aac 44100 1 44103 'No edit list, but the iTunSMPB tag' \
	'1024 + 44103 + 953 = 45 frames.'
# Apple's encoder has 2112 samples of delay: 1088 zeros in front of ffmpeg's.
wav apple kind=chord rate=44100 n=45191 lead=1088 ch=1
enc "$tmp/apple.m4a" -i "$tmp/apple.wav" "${lc[@]}" "${exact[@]}"
edit "$m/edit-2112.m4a" "$tmp/apple.m4a" frame=1024 edits=44103@2112
ok media/edit-2112.m4a aac 44100 1 44103 'Edit list: delay of 2112 and padding at the end dropped' \
	'All frames whole, the edit alone says where the sound ends.'
edit "$m/edit-2112-smpb.m4a" "$tmp/apple.m4a" frame=1024 edits=44103@2112 smpb=2112,889,44103
ok media/edit-2112-smpb.m4a aac 44100 1 44103 'As from iTunes: edit list and iTunSMPB, which agree' \
	'Applying both would drop twice.'
edit "$m/edit-empty.m4a" "$tmp/edit.m4a" edits=22050@-1,44103@1024
ok media/edit-empty.m4a aac 44100 1 66153 'Edit list: starts with 0.5 s of nothing' \
	'22050 samples of silence, then 44103 of sound. Players keep the silence so that the sound fits the picture; ffmpeg reports a start time of 0.5 s instead.'
edit "$m/edit-middle.m4a" "$tmp/edit.m4a" edits=22051@11025
ok media/edit-middle.m4a aac 44100 1 22051 'Edit list: 0.5 s from the middle'
edit "$m/edit-two.m4a" "$tmp/edit.m4a" edits=11025@1024,11029@34050
ok media/edit-two.m4a aac 44100 1 22054 'Edit list: two pieces, the middle left out' \
	'11025 samples from 1024 on, then 11029 from 34050 on, neither at a frame boundary.'
edit "$m/edit-swapped.m4a" "$tmp/edit.m4a" edits=11025@34050,11029@1024
ok media/edit-swapped.m4a aac 44100 1 22054 'Edit list: two pieces, the later one first'
edit "$m/edit-zero-duration.m4a" "$tmp/edit.m4a" edits=0@1024
ok media/edit-zero-duration.m4a aac 44100 1 44103 'Edit list: duration 0' \
	'Means "to the end" as in fragmented files. ffmpeg 5.1 takes it at its word and plays nothing.'
edit "$m/edit-v1.m4a" "$tmp/edit.m4a" edits64=44103@1024
ok media/edit-v1.m4a aac 44100 1 44103 'Edit list of version 1, with 64-bit times'
edit "$m/edit-too-long.m4a" "$tmp/edit.m4a" edits=441000@1024
ok media/edit-too-long.m4a aac 44100 1 44103 'Edit list: longer than the media' \
	'Ends where the media ends.'
edit "$m/edit-past-end.m4a" "$tmp/edit.m4a" edits=44103@1024,22050@999999
ok media/edit-past-end.m4a aac 44100 1 44103 'Edit list: the second piece is past the end of the media' \
	'There is nothing to present in it.'
enc "$tmp/av.mp4" "${pattern[@]}" -i "$tmp/mono.wav" "${x264[@]}" -crf 40 "${lc[@]}" "${exact[@]}"
edit "$m/edit-empty-av.mp4" "$tmp/av.mp4" edits=4410@-1,44103@1024
ok media/edit-empty-av.mp4 aac 44100 1 48513 'Edit list: the sound starts 0.1 s after the picture' \
	'4410 samples of silence first.'

# ---------------------------------------------------------------- time scales

enc "$tmp/t48.m4a" -i "$tmp/mono48.wav" "${lc[@]}" -movie_timescale 48000
edit "$m/time-90000.m4a" "$tmp/t48.m4a" timescale=90000
ok media/time-90000.m4a aac 48000 1 48007 'Media timescale 90000 at 48 kHz' 'A frame is 1920 ticks. ffmpeg 5.1 takes the ticks to skip for samples and drops 896 too many at the start.'
wav two kind=chord rate=48000 n=96000 ch=1
enc "$tmp/t600.m4a" -i "$tmp/two.wav" "${lc[@]}" -movie_timescale 600
edit "$m/time-600.m4a" "$tmp/t600.m4a" timescale=600
ok media/time-600.m4a aac 48000 1 96000 'Media timescale 600 at 48 kHz' \
	'A frame is 12.8 ticks, so durations of 12 and 13 alternate and the edit starts at 13 ticks (1040 samples) in place of 1024. Each tick is 80 samples, so the count is exact only because it was chosen so.'
edit "$m/time-90000-44100.m4a" "$tmp/edit.m4a" timescale=90000
ok media/time-90000-44100.m4a aac 44100 1 44103 'Media timescale 90000 at 44.1 kHz' \
	'A frame is 2089.8 ticks; durations alternate. ffmpeg 5.1 drops 1066 too many at the start, as with time-90000.m4a.'

# ---------------------------------------------------------------- several tracks

wav eng kind=tones rate=44100 n=22051 freqs=440
wav deu kind=tones rate=44100 n=33077 freqs=880
two=(-i "$tmp/eng.wav" -i "$tmp/deu.wav" -map 0 -map 1 -c:a aac -aac_coder fast -b:a 40k "${exact[@]}"
	-metadata:s:a:0 language=eng -metadata:s:a:1 language=deu)
which='English is a tone of 440 Hz with 22051 samples, German one of 880 Hz with 33077.'
enc "$m/tracks-first-default.mp4" "${two[@]}" -disposition:a:0 default -disposition:a:1 0
ok media/tracks-first-default.mp4 aac 44100 1 22051 'Two audio tracks, the first one enabled' "$which"
enc "$m/tracks-second-default.mp4" "${two[@]}" -disposition:a:0 0 -disposition:a:1 default
ok media/tracks-second-default.mp4 aac 44100 1 33077 'Two audio tracks, the second one enabled' "$which" 2
edit "$m/tracks-none-default.mp4" "$m/tracks-first-default.mp4" track=1 tkhd-flags=0 track=2 tkhd-flags=0
ok media/tracks-none-default.mp4 aac 44100 1 22051 'Two audio tracks, neither enabled' "$which The first one is as good as any."
edit "$m/tracks-both-default.mp4" "$m/tracks-first-default.mp4" track=1 tkhd-flags=7 track=2 tkhd-flags=7
ok media/tracks-both-default.mp4 aac 44100 1 22051 'Two audio tracks, both enabled' "$which"
edit "$m/tracks-first-disabled.mp4" "$m/tracks-first-default.mp4" track=1 tkhd-flags=0 track=2 tkhd-flags=3
ok media/tracks-first-disabled.mp4 aac 44100 1 33077 'Two audio tracks, the first one with flags 0' "$which" 2
edit "$m/tracks-only-disabled.mp4" "$m/aac.m4a" tkhd-flags=0
ok media/tracks-only-disabled.mp4 aac 44100 1 44103 'One audio track, not enabled' \
	'There is nothing else to convert.'

# ---------------------------------------------------------------- tags

tags=(
	-metadata title='Ünïcödé 日本語 🎵' -metadata artist='Žofie & the Øscillators'
	-metadata album_artist='Various Ärtists' -metadata album='Альбом'
	-metadata composer='Ζωή' -metadata date=2023-11-05 -metadata genre='Électro Swing'
	-metadata track=3/12 -metadata disc=1/2 -metadata comment='A comment with "quotes", a / and a \.'
	-metadata copyright='© 2023 Nobody' -metadata grouping='Group' -metadata lyrics=$'First line\nSecond line ♪'
	-metadata description='Short description' -metadata synopsis='Long description'
	-metadata show='Show' -metadata episode_id='S01E02' -metadata network='Network'
	-metadata episode_sort=2 -metadata season_number=1 -metadata media_type=1
	-metadata compilation=1 -metadata gapless_playback=1 -metadata hd_video=0
	-metadata keywords='one,two' -metadata encoding_tool='fixtures.sh'
)
enc "$tmp/tags.m4a" -i "$tmp/small.wav" -i "$tmp/cover.jpg" -map 0 -map 1 "${lc[@]}" -c:v copy \
	-disposition:v:0 attached_pic "${tags[@]}"
edit "$m/tags-all.m4a" "$tmp/tags.m4a" text=sonm='Sort Title' text=soar='Sort Artist' text=soal='Sort Album' \
	text=soaa='Sort Album Artist' text=soco='Sort Composer' \
	free-text='MusicBrainz Track Id=00000000-0000-4000-8000-000000000000' \
	free-text='iTunNORM= 00000100 00000100 00001000 00001000 00000000 00000000 00004000 00004000 00000000 00000000'
ok media/tags-all.m4a aac 22050 1 22051 'Every common iTunes tag, Unicode, JPEG cover' \
	"Track 3 of 12, disc 1 of 2; the values are in $(basename "$0")."
enc "$m/tags-png.m4a" -i "$tmp/small.wav" -i "$tmp/cover.png" -map 0 -map 1 "${lc[@]}" -c:v copy \
	-disposition:v:0 attached_pic -metadata title='PNG cover'
ok media/tags-png.m4a aac 22050 1 22051 'PNG cover'
enc "$tmp/genre.m4a" -i "$tmp/small.wav" "${lc[@]}" -metadata title='Numbered genre' -metadata track=7
edit "$m/tags-genre-number.m4a" "$tmp/genre.m4a" genre=18
ok media/tags-genre-number.m4a aac 22050 1 22051 'Genre by number (gnre 18, which is Rock), track without total'
comment=$(for i in $(seq 1300); do printf 'Sentence %d of a comment that does not want to end. ' "$i"; done)
enc "$tmp/long.m4a" -i "$tmp/small.wav" "${lc[@]}" -metadata title='Long comment'
printf 'text=\251cmt=%s' "$comment" >"$tmp/comment"
edit "$m/tags-long-comment.m4a" "$tmp/long.m4a" "$(cat "$tmp/comment")"
ok media/tags-long-comment.m4a aac 22050 1 22051 "A comment of ${#comment} characters"
enc "$m/tags-quicktime.mov" -i "$tmp/small.wav" "${lc[@]}" \
	-metadata title='QuickTime title é' -metadata artist='QuickTime artist' -metadata comment='QuickTime comment'
ok media/tags-quicktime.mov aac 22050 1 22051 'QuickTime user data tags'
enc "$m/tags-mdta.mov" -i "$tmp/small.wav" "${lc[@]}" -movflags +use_metadata_tags \
	-metadata title='Key title 日本語' -metadata artist='Key artist' -metadata com.example.key='Own key'
ok media/tags-mdta.mov aac 22050 1 22051 'Tags by key (mdta)'

# ---------------------------------------------------------------- damaged and hostile

enc "$tmp/first.m4a" -i "$tmp/small.wav" "${lc[@]}" -movflags +faststart
enc "$tmp/last.m4a" -i "$tmp/small.wav" "${lc[@]}"

enc "$m/bad-video-only.mp4" "${pattern[@]}" "${x264[@]}" -crf 40
bad media/bad-video-only.mp4 no_audio 'H.264 alone'
edit "$m/bad-empty-track.m4a" "$tmp/last.m4a" empty-track
bad media/bad-empty-track.m4a no_audio 'An audio track without samples' \
	'There is nothing to encode, and an MP3 without frames helps nobody.'
printf 'This is not a video.\n' >"$m/bad-text.mp4"
bad media/bad-text.mp4 invalid_data 'A text file'
: >"$m/bad-empty.mp4"
bad media/bad-empty.mp4 invalid_data/truncated 'An empty file'
"$fx" cut "$tmp/first.m4a" "$m/bad-ftyp-only.mp4" ftyp 1 100
bad media/bad-ftyp-only.mp4 truncated/invalid_data/no_audio 'Nothing but the ftyp'
"$fx" cut "$tmp/first.m4a" "$m/bad-cut-mdat.m4a" mdat 1 50
bad media/bad-cut-mdat.m4a truncated 'Moov first, half of the mdat missing'
"$fx" cut "$tmp/first.m4a" "$m/bad-cut-after-moov.m4a" moov 1 100
bad media/bad-cut-after-moov.m4a truncated 'Moov first, ends right after it: every sample is past the end'
"$fx" cut "$tmp/last.m4a" "$m/bad-no-moov.m4a" mdat 1 100
bad media/bad-no-moov.m4a truncated/invalid_data 'A recording that was interrupted: the moov was never written'
"$fx" cut "$tmp/last.m4a" "$m/bad-cut-moov.m4a" moov 1 50
bad media/bad-cut-moov.m4a truncated/invalid_data 'Moov last, half of it missing'
"$fx" cut "$m/frag-audio.m4a" "$m/bad-frag-cut-mdat.m4a" mdat 3 50
bad media/bad-frag-cut-mdat.m4a truncated 'Fragmented, half of the third mdat missing'
"$fx" cut "$m/frag-audio.m4a" "$m/bad-frag-cut-after-moof.m4a" moof 3 100
bad media/bad-frag-cut-after-moof.m4a truncated 'Fragmented, ends right after the third moof'
"$fx" cut "$m/frag-audio.m4a" "$m/bad-frag-cut-moof.m4a" moof 3 50
bad media/bad-frag-cut-moof.m4a truncated 'Fragmented, half of the third moof missing'

enc "$m/bad-cenc.mp4" -i "$tmp/small.wav" "${lc[@]}" -encryption_scheme cenc-aes-ctr \
	-encryption_key 000102030405060708090a0b0c0d0e0f -encryption_kid 101112131415161718191a1b1c1d1e1f
bad media/bad-cenc.mp4 encrypted 'Common Encryption (enca, cenc), really encrypted' 'Key 000102030405060708090a0b0c0d0e0f.'
edit "$m/bad-cbcs.mp4" "$tmp/last.m4a" protect=enca,cbcs
bad media/bad-cbcs.mp4 encrypted 'Marked as encrypted (enca, cbcs); the samples are noise'
edit "$m/bad-drms.m4p" "$tmp/last.m4a" protect=drms,itun
bad media/bad-drms.m4p encrypted 'Marked as an old iTunes purchase (drms); the samples are noise'
edit "$m/bad-codec-ac4.mp4" "$tmp/last.m4a" fourcc=ac-4 config=dac4 garbage=0,-1
bad media/bad-codec-ac4.mp4 unsupported_codec 'Audio of type ac-4' 'No configuration to speak of, and the samples are noise.'
edit "$m/bad-codec-zzzz.mp4" "$tmp/last.m4a" fourcc=zzzz config=zzcf garbage=0,-1
bad media/bad-codec-zzzz.mp4 unsupported_codec 'Audio of a type that does not exist' 'As bad-codec-ac4.mp4.'
enc "$tmp/pcm.mov" -i "$tmp/speech8.wav" -c:a pcm_u8
edit "$m/bad-external.mov" "$tmp/pcm.mov" external=pcm-u8.mov drop=mdat
bad media/bad-external.mov unsupported_codec/invalid_data/truncated 'The samples are in another file (dref)' \
	'Must not be followed; it names a file that is there. No code fits well: the data are neither damaged nor cut off, just not here. A reader that ignores the dref, as ffmpeg 5.1 does, plays the moov.'

edit "$m/bad-stsz-count.m4a" "$tmp/last.m4a" stsz=0,4294967295
bad media/bad-stsz-count.m4a invalid_data 'stsz claims 4294967295 sizes'
edit "$m/bad-stsz-fixed.mov" "$tmp/pcm.mov" stsz=1,4294967295
bad media/bad-stsz-fixed.mov invalid_data/ok 'stsz claims 4294967295 samples of 1 byte' \
	'The stts has the true number, 8011; ffmpeg 5.1 plays those.'
edit "$m/bad-stsc.m4a" "$tmp/last.m4a" stsc=4294967295
bad media/bad-stsc.m4a invalid_data/ok 'stsc claims 4294967295 samples per chunk' \
	'ffmpeg 5.1 plays nothing and reports nothing, which must not pass for success.'
edit "$m/bad-stts.m4a" "$tmp/last.m4a" stts=4294967295,2147483647
bad media/bad-stts.m4a invalid_data/ok 'stts claims 4294967295 samples of 2147483647 ticks each' \
	'Only a reader that mends the times from the 23 frames there are may say ok; ffmpeg 5.1 plays nothing and reports nothing.'
edit "$m/bad-trun.m4a" "$m/frag-audio.m4a" trun=4294967295
bad media/bad-trun.m4a invalid_data/truncated 'The first trun claims 4294967295 samples'
edit "$m/bad-timescale.m4a" "$tmp/last.m4a" no-scale
bad media/bad-timescale.m4a invalid_data 'Media timescale 0' \
	'ffmpeg 5.1 takes it for 1 and then plays a single frame, which must not pass for success.'
edit "$m/bad-edit-negative.m4a" "$tmp/last.m4a" edits=1000@-2
bad media/bad-edit-negative.m4a invalid_data/ok 'Edit list: media time -2, which means nothing' \
	'A lenient reader ignores the edit, as ffmpeg 5.1 does.'
edit "$m/bad-moov-nested.m4a" "$tmp/last.m4a" nest=64
bad media/bad-moov-nested.m4a invalid_data/no_audio 'The moov is inside 64 others'
edit "$m/bad-deep.m4a" "$tmp/last.m4a" deep=1000
bad media/bad-deep.m4a invalid_data/ok 'A box 1000 levels deep' 'It has no meaning, so it may be skipped; the point is not to run out of stack.'
edit "$m/bad-box-huge.m4a" "$tmp/last.m4a" wide=mdat lie=mdat,0x7fffffffffffff00
bad media/bad-box-huge.m4a truncated/invalid_data 'mdat claims almost 2^63 bytes'
edit "$m/bad-box-overflow.m4a" "$tmp/last.m4a" wide=mdat lie=mdat,0xffffffffffffffff
bad media/bad-box-overflow.m4a invalid_data/truncated 'mdat claims 2^64-1 bytes' \
	'Its end comes before its start if the sum overflows.'
edit "$m/bad-box-tiny.m4a" "$tmp/last.m4a" lie=free,4
bad media/bad-box-tiny.m4a invalid_data 'A box claims 4 bytes, less than its header'
edit "$m/bad-noise.m4a" "$tmp/last.m4a" garbage=0,-1
bad media/bad-noise.m4a invalid_data 'AAC, but all samples are noise'
edit "$m/odd-noise-frames.m4a" "$tmp/last.m4a" garbage=9,2
row media/odd-noise-frames.m4a ok/invalid_data aac 22050 1 22051 'AAC with two frames of noise in the middle' \
	'Worth a warning; what the decoder makes of the two frames is open, but the length should stay. ffmpeg 5.1 leaves both out.'
edit "$m/odd-cmov.mov" "$tmp/pcm.mov" cmov
row media/odd-cmov.mov ok/unsupported_codec/invalid_data pcm_u8 8000 1 8011 'The moov is compressed (cmov), as in old QuickTime'

printf '#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\naac-moov-first.mp4\n#EXT-X-ENDLIST\n' >"$m/bad-hls.mp4"
bad media/bad-hls.mp4 invalid_data 'An HLS playlist' 'Must not be followed; it names a file that is there.'
printf 'ffconcat version 1.0\nfile aac-moov-first.mp4\n' >"$m/bad-concat.mp4"
bad media/bad-concat.mp4 invalid_data 'A playlist for the concat demuxer of ffmpeg' 'Must not be followed; it names a file that is there.'
enc "$m/bad-mp3.mp4" -i "$tmp/small.wav" -c:a libmp3lame -b:a 32k -f mp3
bad media/bad-mp3.mp4 invalid_data 'An MP3 file with the wrong name'
enc "$m/bad-wav.mp4" -i "$tmp/speech8.wav" -c:a pcm_u8 -f wav
bad media/bad-wav.mp4 invalid_data 'A WAV file with the wrong name'

# ---------------------------------------------------------------- the table

"$fx" table "$data" "$rows" >"$tmp/FIXTURES.tsv"
cp "$tmp/FIXTURES.tsv" "$data/FIXTURES.tsv"
size=$(find "$data" -type f -exec cat {} + | wc -c)
echo "$(($(wc -l <"$data/FIXTURES.tsv") - 1)) files, $size bytes"
[ "$size" -le 2500000 ] || { echo "fixtures.sh: too large for the repository" >&2; exit 1; }
