"""The table of the matrix: containers, codecs, samples, colours, times, shapes, sounds; each in several company."""

from fractions import Fraction

from .matrix import AV1, FFV1, HD, HEVC, HEVC8, HEVC10, NTSC, PAL, PRORES, UHD, Case
from .pictures import Look

FILM, FAST = Fraction(1001, 24_000), Fraction(1001, 60_000)
UNEVEN = (0, 1, 5, 6, 100, 1000, 1001, 1500, 1533, 1567, 1600, 9000)
B_FRAMES = {"preset": "veryfast", "bf": "3", "x264-params": "b-adapt=0:scenecut=0"}
PC = Look(1, 1, 1, 2)
JPEG = Look(5, 5, 6, 2)


def _film(first: int = 0, count: int = 6) -> tuple[int, ...]:
    return tuple(range(first, first + count))


CONTAINERS = (
    Case("h264 mp4 aac", "a.mp4", more={"audio": "aac"}),
    Case("h264 mov pcm, untagged", "a.mov", tags=None, more={"audio": "pcm_s16le"}, output=".mov"),
    Case("hevc mkv flac", "a.mkv", "libx265", tags=NTSC, more={"audio": "flac"}, output=".mkv", encode=HEVC),
    Case("vp9 webm opus", "a.webm", "libvpx-vp9", more={"audio": "libopus"}, output=".webm", encode=AV1),
    Case("av1 mp4", "a.mp4", "libsvtav1", output=".mkv", encode=AV1),
    Case("av1 webm 10 bit", "a.webm", "libsvtav1", "yuv420p10le", UHD, times=(0, 1, 2), encode=AV1,
         stored="yuv420p10le"),
    Case("mpeg2 mpg ac3", "a.mpg", "mpeg2video", tags=PAL, more={"audio": "ac3"}),
    Case("mpeg2 ts 4:2:2", "a.ts", "mpeg2video", "yuv422p", HD, more={"audio": "ac3"}, output=".mkv"),
    Case("h264 ts aac", "a.ts", tags=HD, more={"audio": "aac"}, output=".mp4"),
    Case("hevc ts", "a.ts", "libx265", tags=UHD, output=".mov", encode=HEVC),
    Case("mpeg4 avi mp3", "a.avi", "mpeg4", tags=None, more={"audio": "libmp3lame"}),
    Case("mpeg4 mp4", "a.mp4", "mpeg4", tags=None, output=".mov"),
    Case("mjpeg avi pcm", "a.avi", "mjpeg", "yuvj422p", None, look=JPEG, more={"audio": "pcm_s16le"}, output=".mov",
         stored="yuvj420p"),
    Case("mjpeg mov 4:4:4", "a.mov", "mjpeg", "yuvj444p", None, look=JPEG, output=".mkv", stored="yuvj420p"),
    Case("cinepak avi", "a.avi", "cinepak", "rgb24", None, look=HD, output=".mov", encode=PRORES, tolerance=6,
         stored="yuv422p10le"),
    Case("prores mov", "a.mov", "prores_ks", "yuv422p10le", HD, more={"audio": "pcm_s16le"}, output=".mov",
         encode=PRORES, stored="yuv422p10le"),
    Case("prores 4:4:4 mov", "a.mov", "prores_ks", "yuv444p10le", UHD, output=".mkv", encode=PRORES,
         stored="yuv422p10le"),
    Case("gif", "a.gif", "gif", "rgb8", None, look=HD, times=(0, 4, 8, 20, 24), base=Fraction(1, 100)),
)  # fmt: skip

SAMPLES = (
    Case("ffv1 4:4:4 10 bit", "a.mkv", "ffv1", "yuv444p10le", output=".mkv", encode=FFV1, stored="yuv444p10le"),
    Case("ffv1 4:2:2, 601", "a.avi", "ffv1", "yuv422p", None, output=".mkv", encode=FFV1, stored="yuv444p"),
    Case("ffv1 rgb", "a.mkv", "ffv1", "bgr0", None, look=HD, output=".mkv", encode=FFV1, stored="yuv444p"),
    Case("ffv1 rgb 10 bit", "a.mkv", "ffv1", "gbrp10le", None, look=HD, encode=HEVC, stored="yuv420p10le"),
    Case("ffv1 gray", "a.mkv", "ffv1", "gray", None, look=Look(6, 1, 6, 2), stored="yuvj420p"),
    Case("h264 gray studio", "a.mp4", pix_fmt="gray", tags=HD),
    Case(
        "ffv1 gray 10 bit",
        "a.mkv",
        "ffv1",
        "gray10le",
        None,
        Look(6, 1, 6, 2),
        output=".mkv",
        encode=HEVC,
        stored="yuv420p10le",
    ),
    Case("ffv1 rgb 12 bit", "a.mkv", "ffv1", "gbrp12le", None, HD, output=".mkv", encode=FFV1, stored="yuv444p10le"),
    Case("ffv1 12 bit", "a.mkv", "ffv1", "yuv422p12le", UHD, output=".mov", encode=HEVC, stored="yuv420p10le"),
    Case("ffv1 16 bit", "a.mkv", "ffv1", "yuv444p16le", UHD, output=".mkv", encode=FFV1, stored="yuv444p10le"),
    Case("ffv1 4:1:1", "a.avi", "ffv1", "yuv411p", None, output=".mkv"),
    Case("ffv1 4:4:0", "a.mkv", "ffv1", "yuv440p", NTSC, output=".mkv"),
    Case("ffv1 with alpha", "a.mkv", "ffv1", "yuva420p", HD),
    Case("vp9 4:4:4", "a.webm", "libvpx-vp9", "yuv444p", PAL, output=".webm", encode=AV1),
    Case("hevc 4:4:4 10 bit mkv", "a.mkv", "libx265", "yuv444p10le", UHD, encode=HEVC, stored="yuv420p10le"),
    Case("h264 4:4:4", "a.mp4", pix_fmt="yuv444p", tags=NTSC),
    Case("h264 4:2:2 10 bit", "a.mov", pix_fmt="yuv422p10le", output=".mp4", stored="yuv420p10le"),
    Case("10 bit to 8", "a.mkv", "libx265", "yuv420p10le", UHD, encode=HEVC8),
    Case("8 bit to 10", "a.mp4", encode=HEVC10, output=".mkv", stored="yuv420p10le"),
)  # fmt: skip

COLOURS = (
    Case("full range h264", "a.mp4", tags=PC, stored="yuvj420p"),
    Case("full range hevc mkv", "a.mkv", "libx265", "yuv420p10le", Look(9, 9, 14, 2), output=".mkv", encode=HEVC,
         stored="yuv420p10le"),
    Case("full range to prores", "a.mp4", tags=PC, output=".mov", encode=PRORES, stored="yuv422p10le"),
    Case("full range vp9", "a.webm", "libvpx-vp9", tags=Look(6, 6, 6, 2), output=".webm", encode=AV1),
    Case("pq", "a.mp4", "libx265", "yuv420p10le", Look(9, 9, 16), output=".mkv", encode=HEVC, stored="yuv420p10le"),
    Case("hlg to av1", "a.mkv", "libx265", "yuv420p10le", Look(9, 9, 18), times=(0, 1, 2), output=".webm", encode=AV1,
         stored="yuv420p10le"),
    Case("240m", "a.mkv", "ffv1", "yuv444p", Look(7, 7, 7), output=".mkv", encode=FFV1, stored="yuv444p", tolerance=1),
    Case("only a matrix", "a.mp4", tags=Look(5, 2, 2), look=PAL),
    Case("only primaries", "a.mp4", tags=Look(2, 9, 2), look=UHD),
    Case("untagged 480", "a.mp4", tags=None, size=(64, 480), times=(0, 1)),
    Case("untagged 576", "a.mkv", "ffv1", tags=None, size=(64, 576), times=(0, 1), output=".mkv"),
    Case("untagged 720", "a.mp4", tags=None, size=(64, 720), times=(0, 1)),
    Case("untagged 1280 across", "a.mp4", tags=None, size=(1280, 32), times=(0, 1), look=HD),
)  # fmt: skip

TIMES = (
    Case("film, b-frames", "a.mp4", times=_film(count=12), base=FILM, rate=1 / FILM, more={"options": B_FRAMES}),
    Case("59.94 hevc", "a.mov", "libx265", times=_film(), base=FAST, rate=1 / FAST, output=".mp4", encode=HEVC),
    Case("50 mkv", "a.mkv", times=_film(), base=Fraction(1, 50), rate=Fraction(50), output=".mkv"),
    Case("59.94 ts", "a.ts", times=_film(), base=FAST, rate=1 / FAST, output=".mp4"),
    Case("film mpg", "a.mpg", "mpeg2video", tags=NTSC, base=FILM, rate=1 / FILM),
    Case("uneven mp4", "a.mp4", times=UNEVEN, base=Fraction(1, 90_000), more={"options": B_FRAMES}),
    Case("uneven mkv to mp4", "a.mkv", "ffv1", times=UNEVEN, base=Fraction(1, 1000)),
    Case("uneven mp4 to webm", "a.mp4", times=UNEVEN, base=Fraction(1, 1000), output=".webm", encode=AV1),
    Case("uneven mov to prores", "a.mov", times=UNEVEN, base=Fraction(1, 600), output=".mov", encode=PRORES,
         stored="yuv422p10le"),
    Case("one frame", "a.mp4", times=(0,), more={"audio": "aac"}),
    Case("one frame, ffv1", "a.mkv", "ffv1", times=(0,), output=".mkv", encode=FFV1, stored="yuv444p"),
    Case("two frames", "a.mkv", times=(0, 1), output=".mp4", encode=HEVC),
    Case("three frames", "a.webm", "libvpx-vp9", times=(0, 1, 2), output=".mp4", encode=AV1),
    Case("late mp4", "a.mp4", times=_film(7), more={"audio": "aac"}),
    Case("late mp4, b-frames", "a.mp4", times=_film(7, 12), more={"options": B_FRAMES, "audio": "aac"}),
    Case("late mkv", "a.mkv", times=_film(31), more={"audio": "libopus"}, output=".mkv"),
    Case("ts mpeg2 b-frames", "a.ts", "mpeg2video", times=_film(count=12), more={
        "audio": "ac3", "options": {"bf": "2"}}),
    Case("mpg mpeg2 b-frames", "a.mpg", "mpeg2video", times=_film(count=12), output=".mkv", more={
        "audio": "mp2", "options": {"bf": "2"}}),
    Case("vp9 webm 23.976", "a.webm", "libvpx-vp9", times=_film(count=12), base=FILM, rate=1 / FILM),
    Case("av1 b-frames", "a.mkv", "libsvtav1", times=_film(count=12), output=".mkv", encode=HEVC, more={
        "options": {"g": "32"}}),
    Case("hevc b-frames, late mov", "a.mov", "libx265", times=_film(3, 12), output=".mov", encode=HEVC, more={
        "options": {"preset": "veryfast", "x265-params": "log-level=error:bframes=3:b-adapt=0"}, "audio": "aac"}),
    Case("mpeg4 b-frames avi", "a.avi", "mpeg4", tags=None, times=_film(count=12), more={"options": {"bf": "2"}}),
    Case("late ts", "a.ts", times=_film(12), more={"audio": "ac3"}),
)  # fmt: skip

SHAPES = (
    Case("turned by 90", "a.mp4", more={"rotation": 90}),
    Case("turned by 180", "a.mov", "libx265", tags=NTSC, more={"rotation": 180}, output=".mkv", encode=HEVC),
    Case("turned by 270", "a.mkv", "ffv1", "yuv444p", more={"rotation": 270}, output=".mkv", encode=FFV1,
         stored="yuv444p"),
    Case("mirrored", "a.mp4", more={"mirrored": True}, output=".mov"),
    Case("turned by 90, mirrored", "a.mp4", more={"rotation": 90, "mirrored": True}, scale=2),
    Case("wide pixels", "a.mp4", tags=PAL, more={"aspect": Fraction(4, 3)}, output=".mkv"),
    Case("wide pixels av1", "a.mkv", tags=PAL, more={"aspect": Fraction(16, 11)}, output=".webm", encode=AV1),
    Case("wide pixels, turned", "a.mp4", "mpeg4", tags=NTSC, more={"aspect": Fraction(4, 3), "rotation": 90}),
    Case("17x19", "a.mkv", "ffv1", "yuv444p", size=(17, 19), scale=4),
    Case("17x19 vp9", "a.webm", "libvpx-vp9", size=(17, 19), scale=4, output=".mkv", encode=HEVC, tolerance=13),
    Case("17x19 mpeg4", "a.avi", "mpeg4", tags=None, size=(17, 19), scale=4, output=".webm", encode=AV1,
         tolerance=13),
    Case("18x19 stays odd", "a.mkv", "ffv1", "yuv444p", size=(18, 19), stored="yuv444p"),
    Case("18x19 stays odd av1", "a.mkv", "ffv1", "yuv444p", size=(18, 19), output=".webm", encode=AV1, tolerance=13),
    Case("16x16", "a.mp4", size=(16, 16), scale=4),
    Case("16x16 ffv1", "a.mkv", "ffv1", "yuv420p10le", size=(16, 16), scale=2, output=".mkv", encode=FFV1,
         stored="yuv444p10le"),
)  # fmt: skip

COMPANY = (
    Case("two sounds", "a.mkv", more={"audio": ("aac", "libopus")}, output=".mp4"),
    Case("sounds and text mkv", "a.mkv", output=".mkv", more={
        "audio": ("flac", "ac3"), "subtitles": "subrip", "attachment": True, "chapters": ((0, 80), (80, 200)),
        "metadata": {"title": "A film", "comment": "of six frames"}}),
    Case("sounds and text mp4", "a.mp4", more={
        "audio": ("aac", "ac3"), "subtitles": "mov_text", "chapters": ((0, 80), (80, 200)),
        "metadata": {"title": "A film", "artist": "nobody"}}),
    Case("text mkv to mp4", "a.mkv", more={"subtitles": "subrip", "chapters": ((0, 100),), "metadata": {"title": "x"}}),
    Case("mp3 mkv", "a.mkv", "mpeg4", tags=None, more={"audio": "libmp3lame"}, output=".mkv"),
    Case("start", "a.mp4", times=_film(count=12), more={"audio": "aac", "options": B_FRAMES}, trim=(0.16, None)),
    Case("middle mkv", "a.mkv", times=_film(count=12), more={"audio": "libopus"}, trim=(0.1, 0.2), output=".mkv"),
    Case("end", "a.mov", times=_film(5, 12), more={"audio": "pcm_s16le"}, trim=(0.0, 0.2), output=".mov"),
    Case("middle ts", "a.ts", times=_film(count=12), more={"audio": "ac3"}, trim=(0.12, 0.24)),
)  # fmt: skip

CASES = CONTAINERS + SAMPLES + COLOURS + TIMES + SHAPES + COMPANY
