// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that Thread Sanitizer needs to be built into what inference uses and into nothing else.
let package = Package(
    name: "ThreadSanitizer",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "ettin-swift", path: "../..")],
    targets: [
        .executableTarget(
            name: "ThreadCheck",
            dependencies: [
                .product(name: "EttinInference", package: "ettin-swift"),
                .product(name: "EttinModel", package: "ettin-swift"),
                .product(name: "EttinTokenizer", package: "ettin-swift"),
            ]
        )
    ],
    swiftLanguageModes: [.v6]
)
