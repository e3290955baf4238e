"""Run by the webui before it reads its command line: the flags of Ultimate SD Upscale."""


def preload(parser):
    parser.add_argument(
        "--usdu-max-megapixels",
        type=float,
        default=1000,
        help="Ultimate SD Upscale: the largest result it makes, in megapixels (1000)",
    )
