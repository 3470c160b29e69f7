// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "ettin-swift",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "ettin", targets: ["EttinCommand"]),
        .library(name: "Ettin", targets: ["Ettin"]),
        .library(name: "EttinInference", targets: ["EttinInference"]),
        .library(name: "EttinCorpus", targets: ["EttinCorpus"]),
        .library(name: "EttinHub", targets: ["EttinHub"]),
        .library(name: "EttinModel", targets: ["EttinModel"]),
        .library(name: "EttinPretraining", targets: ["EttinPretraining"]),
        .library(name: "EttinTokenizer", targets: ["EttinTokenizer"]),
        .library(name: "EttinTraining", targets: ["EttinTraining"]),
        .library(name: "Torch", targets: ["Torch"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        // Floor 1: libtorch behind a C interface, and the compression libraries as they are.
        .systemLibrary(name: "Czlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(name: "Czstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .systemLibrary(name: "Clibtorch", pkgConfig: "libtorch"),
        .target(
            name: "CTorch",
            dependencies: ["Clibtorch"],
            linkerSettings: [
                .linkedLibrary("torch_cpu"), .linkedLibrary("c10"),
                .linkedLibrary("dl", .when(platforms: [.linux])),
            ]
        ),
        // Floor 2
        .target(name: "Torch", dependencies: ["CTorch"], swiftSettings: settings),
        .target(name: "EttinJSON", swiftSettings: settings),
        .target(name: "EttinFiles", swiftSettings: settings),
        .target(name: "EttinTokenizer", dependencies: ["EttinJSON"], swiftSettings: settings),
        .target(
            name: "EttinHub",
            dependencies: [
                "EttinFiles", "EttinJSON",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: settings
        ),
        // Floor 3
        .target(name: "EttinModel", dependencies: ["Torch", "EttinFiles", "EttinJSON"], swiftSettings: settings),
        .target(
            name: "EttinCorpus",
            dependencies: [
                "Czlib", "Czstd", "EttinFiles", "EttinJSON", "EttinTokenizer", "Torch",
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.embedInCode("Recipes")],
            swiftSettings: settings
        ),
        // Floor 4
        .target(
            name: "EttinInference",
            dependencies: ["EttinModel", "EttinFiles", "EttinJSON", "EttinTokenizer", "Torch"],
            swiftSettings: settings
        ),
        .target(
            name: "EttinTraining",
            dependencies: ["EttinCorpus", "EttinModel", "EttinFiles", "EttinJSON", "Torch"],
            swiftSettings: settings
        ),
        // Floor 5
        .target(
            name: "EttinPretraining",
            dependencies: [
                "EttinTraining", "EttinInference", "EttinHub", "EttinCorpus", "EttinModel", "EttinTokenizer",
                "EttinFiles", "EttinJSON", "Torch",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Ettin",
            dependencies: ["EttinInference", "EttinModel", "EttinTokenizer", "Torch"],
            swiftSettings: settings
        ),
        // Floor 6: the command `ettin`.
        .executableTarget(
            name: "EttinCommand",
            dependencies: [
                "Torch", "EttinFiles", "EttinJSON", "EttinTokenizer", "EttinHub", "EttinCorpus", "EttinModel",
                "EttinInference", "EttinTraining", "EttinPretraining",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        // Drivers for the interop tests, the benchmarks and the fuzzers; not products.
        .target(name: "ProbeSupport", dependencies: ["EttinJSON"], swiftSettings: settings),
        .executableTarget(
            name: "AdapterProbe",
            dependencies: ["EttinModel", "EttinJSON", "ProbeSupport", "Torch"],
            swiftSettings: settings
        ),
        .executableTarget(name: "AttentionProbe", dependencies: ["EttinJSON", "Torch"], swiftSettings: settings),
        .executableTarget(
            name: "BenchProbe",
            dependencies: ["EttinInference", "EttinJSON", "ProbeSupport", "Torch"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "FilesProbe",
            dependencies: ["EttinModel", "EttinJSON", "ProbeSupport"],
            swiftSettings: settings
        ),
        .executableTarget(name: "HubProbe", dependencies: ["EttinHub"], swiftSettings: settings),
        .executableTarget(
            name: "ModelProbe",
            dependencies: [
                "EttinPretraining", "EttinTraining", "EttinModel", "EttinJSON", "ProbeSupport", "Torch",
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "CorpusProbe",
            dependencies: ["EttinCorpus", "EttinJSON", "ProbeSupport"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "OrderProbe",
            dependencies: ["EttinCorpus", "EttinJSON", "Torch"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "TrainingProbe",
            dependencies: [
                "EttinPretraining", "EttinTraining", "EttinCorpus", "EttinTokenizer", "EttinJSON", "ProbeSupport",
                "Torch",
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "TokenizerProbe",
            dependencies: ["EttinTokenizer", "EttinJSON", "ProbeSupport"],
            swiftSettings: settings
        ),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(name: "TorchTests", dependencies: ["Torch"], swiftSettings: settings),
        .testTarget(name: "EttinJSONTests", dependencies: ["EttinJSON"], swiftSettings: settings),
        .testTarget(name: "EttinFilesTests", dependencies: ["EttinFiles", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "EttinHubTests",
            dependencies: [
                "EttinHub", "EttinJSON", "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinTokenizerTests",
            dependencies: ["EttinTokenizer", "EttinJSON", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinCommandTests",
            dependencies: ["EttinJSON", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinModelTests",
            dependencies: ["EttinModel", "EttinFiles", "EttinJSON", "Torch", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinInferenceTests",
            dependencies: ["EttinInference", "EttinModel", "EttinTokenizer", "EttinJSON", "Torch", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinTrainingTests",
            dependencies: [
                "EttinTraining", "EttinCorpus", "EttinModel", "EttinFiles", "EttinJSON", "Torch", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinPretrainingTests",
            dependencies: [
                "EttinPretraining", "EttinTraining", "EttinInference", "EttinCorpus", "EttinModel", "EttinTokenizer",
                "EttinFiles", "EttinJSON", "Torch", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinCorpusTests",
            dependencies: ["EttinCorpus", "EttinFiles", "EttinJSON", "EttinTokenizer", "TestSupport", "Torch"],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx20
)
