"""Other words under which a user may look for a node, in English and in Chinese."""

import inspect

from comfy_api.latest import io

ALIASES: dict[str, tuple[str, ...]] = {
    "OVSR_LoadVideo": ("open video", "import video", "video input", "deinterlace", "打开视频", "去隔行"),
    "OVSR_ListVideos": ("batch", "folder", "load videos", "video directory", "批量", "文件夹"),
    "OVSR_LLaVACaption": ("describe video", "image to text", "vlm", "prompt from video", "subtitles", "描述", "打标"),
    "OVSR_DegradationText": ("detect blur", "detect noise", "describe degradation", "退化估计"),
    "OVSR_TextOVSRUpscale": (
        "super resolution", "vsr", "upscale video", "restore video", "enhance video", "denoise video", "old film",
        "opera", "超分", "放大视频", "视频修复", "老电影", "戏曲",
    ),
    "OVSR_DiffusionRestore": (
        "mgld", "diffvsr", "star", "sdatc", "cogvideox", "super resolution", "vsr", "upscale video", "restore video",
        "超分", "视频修复",
    ),
    "OVSR_DegradeVideo": ("vhs effect", "old film effect", "film grain", "add noise", "training pairs", "做旧", "加噪"),
    "OVSR_EncodeVideo": ("vae encode video", "video to latent", "编码"),
    "OVSR_EstimateFlow": ("optical flow", "raft", "spynet", "motion vectors", "occlusion", "运动估计"),
    "OVSR_SplitWindows": ("context windows", "sliding window", "split video", "chunks", "滑动窗口"),
    "OVSR_MotionGuidedSampler": ("ksampler video", "temporal consistency", "deflicker", "mgld", "时间一致性", "去闪烁"),
    "OVSR_MotionGuidance": ("temporal consistency", "deflicker", "guided sampler", "mgld", "时间一致性"),
    "OVSR_RescheduledNoise": ("noise", "diffvsr noise", "freenoise", "shuffled noise", "噪声"),
    "OVSR_ILTStitch": ("join windows", "blend windows", "crossfade", "merge latents", "拼接", "合并"),
    "OVSR_DecodeVideo": ("vae decode video", "latent to video", "解码"),
    "OVSR_DiffusionWeights": ("download model", "checkpoints", "mgld", "diffvsr", "star", "sdatc", "下载模型"),
    "OVSR_CLIPIQAScore": ("image quality", "aesthetic score", "no reference quality", "iqa", "画质评分"),
    "OVSR_QualityReport": ("psnr", "ssim", "vmaf", "niqe", "brisque", "metrics", "measure video", "画质评测"),
    "OVSR_CompareVideos": ("side by side", "before after", "ab compare", "difference", "video player", "对比", "对照"),
    "OVSR_SaveVideo": ("export video", "write video", "mp4", "mkv", "导出视频"),
}  # fmt: skip


def search_aliases(node_id: str) -> dict[str, list[str]]:
    """Return what to add to a node's schema: its aliases, where the host's schemas have such a field."""
    if "search_aliases" not in inspect.signature(io.Schema).parameters:
        return {}
    return {"search_aliases": list(ALIASES[node_id])}
