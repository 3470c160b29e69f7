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
        .library(name: "Ettin", targets: ["Ettin"]),
        .library(name: "EttinTokenizer", targets: ["EttinTokenizer"]),
        .executable(name: "ettin", targets: ["ettin"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        // Floor 1: libtorch behind a C interface.
        .systemLibrary(name: "Clibtorch", pkgConfig: "libtorch"),
        .target(
            name: "CTorch",
            dependencies: ["Clibtorch"],
            linkerSettings: [.linkedLibrary("torch_cpu"), .linkedLibrary("c10"), .linkedLibrary("dl", .when(platforms: [.linux]))]
        ),
        // Floor 2
        .target(name: "Torch", dependencies: ["CTorch"], swiftSettings: settings),
        .target(name: "EttinJSON", swiftSettings: settings),
        .target(name: "EttinTokenizer", dependencies: ["EttinJSON"], swiftSettings: settings),
        // Floor 3
        .target(name: "EttinModel", dependencies: ["Torch", "EttinJSON"], swiftSettings: settings),
        // Floor 4
        .target(name: "EttinInference", dependencies: ["EttinModel", "EttinTokenizer", "EttinJSON", "Torch"], swiftSettings: settings),
        .target(name: "Ettin", dependencies: ["EttinInference", "EttinModel", "EttinTokenizer", "Torch"], swiftSettings: settings),
        // Floor 6
        .executableTarget(
            name: "ettin",
            dependencies: [
                "EttinInference", "EttinModel", "EttinTokenizer", "EttinJSON", "Torch",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "TorchTests", dependencies: ["Torch", "EttinTestSupport"], swiftSettings: settings),
        .testTarget(name: "EttinJSONTests", dependencies: ["EttinJSON"], swiftSettings: settings),
        .testTarget(name: "EttinTokenizerTests", dependencies: ["EttinTokenizer", "EttinJSON"], swiftSettings: settings),
        .testTarget(name: "EttinModelTests", dependencies: ["EttinModel", "EttinJSON", "Torch", "EttinTestSupport"], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx20
)
