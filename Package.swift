// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "ettin-swift",
    products: [
        .executable(name: "ettin", targets: ["EttinCommand"]),
        .library(name: "Ettin", targets: ["Ettin"]),
        .library(name: "EttinInference", targets: ["EttinInference"]),
        .library(name: "EttinConversion", targets: ["EttinConversion"]),
        .library(name: "EttinCorpus", targets: ["EttinCorpus"]),
        .library(name: "EttinEvaluation", targets: ["EttinEvaluation"]),
        .library(name: "EttinFineTuning", targets: ["EttinFineTuning"]),
        .library(name: "EttinHub", targets: ["EttinHub"]),
        .library(name: "EttinJSON", targets: ["EttinJSON"]),
        .library(name: "EttinModel", targets: ["EttinModel"]),
        .library(name: "EttinPretraining", targets: ["EttinPretraining"]),
        .library(name: "EttinPrimitives", targets: ["EttinPrimitives"]),
        .library(name: "EttinTables", targets: ["EttinTables"]),
        .library(name: "EttinTemplates", targets: ["EttinTemplates"]),
        .library(name: "EttinTokenizer", targets: ["EttinTokenizer"]),
        .library(name: "EttinTraining", targets: ["EttinTraining"]),
        .library(name: "Torch", targets: ["Torch"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Floor 1: libtorch behind a C interface, and the libraries of the system as they are.
        .systemLibrary(name: "Czlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "Czstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "Ccurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "Ccrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
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
        .target(name: "EttinPrimitives", swiftSettings: settings),
        .target(name: "Torch", dependencies: ["CTorch", "EttinPrimitives"], swiftSettings: settings),
        .target(name: "EttinJSON", swiftSettings: settings),
        .target(name: "EttinFiles", swiftSettings: settings),
        .target(name: "EttinHashing", dependencies: ["Ccrypto"], swiftSettings: settings),
        .target(name: "EttinTokenizer", dependencies: ["EttinJSON"], swiftSettings: settings),
        .target(name: "EttinTemplates", dependencies: ["EttinFiles", "EttinJSON"], swiftSettings: settings),
        .target(
            name: "EttinHub",
            dependencies: ["Ccurl", "EttinFiles", "EttinHashing", "EttinJSON"],
            swiftSettings: settings
        ),
        // Floor 3
        .target(name: "EttinReports", dependencies: ["EttinFiles", "EttinJSON"], swiftSettings: settings),
        .target(
            name: "EttinRecipes",
            dependencies: ["EttinFiles", "EttinJSON", .product(name: "Yams", package: "Yams")],
            swiftSettings: settings
        ),
        .target(name: "EttinModel", dependencies: ["Torch", "EttinFiles", "EttinJSON"], swiftSettings: settings),
        .target(
            name: "EttinCorpus",
            dependencies: [
                "Czlib", "Czstd", "EttinFiles", "EttinHashing", "EttinJSON", "EttinPrimitives", "EttinRecipes",
                "EttinTokenizer",
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.embedInCode("Recipes")],
            swiftSettings: settings
        ),
        // Floor 4
        .target(
            name: "EttinTables",
            dependencies: ["EttinCorpus", "EttinRecipes", "EttinFiles", "EttinJSON"],
            swiftSettings: settings
        ),
        .target(
            name: "EttinInference",
            dependencies: ["EttinModel", "EttinFiles", "EttinJSON", "EttinTokenizer", "Torch"],
            swiftSettings: settings
        ),
        .target(
            name: "EttinTraining",
            dependencies: [
                "EttinModel", "EttinRecipes", "EttinReports", "EttinFiles", "EttinJSON", "Torch",
            ],
            swiftSettings: settings
        ),
        // Floor 5
        .target(
            name: "EttinConversion",
            dependencies: [
                "EttinTraining", "EttinInference", "EttinCorpus", "EttinModel", "EttinTokenizer", "EttinRecipes",
                "EttinFiles", "EttinJSON", "Torch",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "EttinPretraining",
            dependencies: [
                "EttinConversion", "EttinTraining", "EttinInference", "EttinCorpus", "EttinModel", "EttinTokenizer",
                "EttinRecipes", "EttinReports", "EttinFiles", "EttinJSON", "Torch",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "EttinEvaluation",
            dependencies: [
                "EttinInference", "EttinTables", "EttinCorpus", "EttinModel", "EttinTokenizer", "EttinFiles",
                "EttinJSON", "Torch",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "EttinFineTuning",
            dependencies: [
                "EttinEvaluation", "EttinTraining", "EttinInference", "EttinTables", "EttinCorpus", "EttinModel",
                "EttinTemplates", "EttinTokenizer", "EttinRecipes", "EttinReports", "EttinFiles", "EttinJSON", "Torch",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Ettin",
            dependencies: [
                "EttinInference", "EttinModel", "EttinPrimitives", "EttinTokenizer", "EttinHub", "EttinFiles", "Torch",
            ],
            swiftSettings: settings
        ),
        // Floor 6: the command `ettin`, and what it does before libraries are initialised.
        .target(name: "CStartup"),
        .executableTarget(
            name: "EttinCommand",
            dependencies: [
                "Torch", "EttinFiles", "EttinJSON", "EttinTokenizer", "EttinHub", "EttinCorpus", "EttinModel",
                "EttinInference", "EttinTraining", "EttinConversion", "EttinPretraining", "EttinTables",
                "EttinEvaluation", "EttinFineTuning", "EttinRecipes", "EttinReports", "EttinTemplates", "CStartup",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        // What the interop tests and the benchmarks run of the library; not a product.
        .executableTarget(
            name: "ettin-probe",
            dependencies: [
                "EttinFineTuning", "EttinEvaluation", "EttinTables", "EttinPretraining", "EttinConversion",
                "EttinTraining", "EttinInference", "EttinHub", "EttinCorpus", "EttinModel", "EttinTokenizer",
                "EttinTemplates", "EttinJSON", "EttinPrimitives", "Torch",
            ],
            path: "Interop/Probe",
            swiftSettings: settings
        ),
        // What fuzzes the readers: a few runs in the tests, many with `make fuzz`; not a product.
        .target(
            name: "FuzzReaders",
            dependencies: [
                "EttinFineTuning", "EttinTables", "EttinPretraining", "EttinConversion", "EttinTraining", "EttinHub",
                "EttinCorpus", "EttinModel", "EttinTokenizer", "EttinTemplates", "EttinRecipes", "EttinFiles",
                "EttinJSON",
                "Torch",
            ],
            path: "Fuzz/Readers",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "ettin-fuzz",
            dependencies: ["FuzzReaders", "EttinFiles", "EttinJSON"],
            path: "Fuzz/Command",
            swiftSettings: settings
        ),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .target(
            name: "HubTestSupport",
            dependencies: ["EttinHub"],
            path: "Tests/HubTestSupport",
            swiftSettings: settings
        ),
        .testTarget(name: "FuzzTests", dependencies: ["FuzzReaders", "EttinFiles"], swiftSettings: settings),
        .testTarget(name: "TorchTests", dependencies: ["Torch"], swiftSettings: settings),
        .testTarget(name: "EttinPrimitivesTests", dependencies: ["EttinPrimitives"], swiftSettings: settings),
        .testTarget(name: "EttinReportsTests", dependencies: ["EttinReports", "EttinJSON"], swiftSettings: settings),
        .testTarget(
            name: "EttinRecipesTests",
            dependencies: ["EttinRecipes", "EttinJSON"],
            swiftSettings: settings
        ),
        .testTarget(name: "EttinJSONTests", dependencies: ["EttinJSON"], swiftSettings: settings),
        .testTarget(name: "EttinFilesTests", dependencies: ["EttinFiles", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "EttinHubTests",
            dependencies: ["EttinHub", "EttinFiles", "EttinHashing", "EttinJSON", "HubTestSupport", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinTokenizerTests",
            dependencies: ["EttinTokenizer", "EttinJSON", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinTemplatesTests",
            dependencies: ["EttinTemplates", "EttinJSON", "TestSupport"],
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
            name: "EttinTests",
            dependencies: ["Ettin", "EttinHub", "EttinInference", "EttinModel", "HubTestSupport", "TestSupport"],
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
            name: "EttinTablesTests",
            dependencies: ["EttinTables", "EttinCorpus", "EttinFiles", "EttinJSON", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinEvaluationTests",
            dependencies: [
                "EttinEvaluation", "EttinInference", "EttinTables", "EttinCorpus", "EttinModel", "EttinTokenizer",
                "EttinFiles", "EttinJSON", "Torch", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinFineTuningTests",
            dependencies: [
                "EttinFineTuning", "EttinEvaluation", "EttinTraining", "EttinInference", "EttinTables", "EttinCorpus",
                "EttinModel", "EttinTokenizer", "EttinRecipes", "EttinFiles", "EttinJSON", "Torch", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinConversionTests",
            dependencies: [
                "EttinConversion", "EttinTraining", "EttinInference", "EttinCorpus", "EttinModel", "EttinTokenizer",
                "EttinFiles", "EttinJSON", "Torch", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinPretrainingTests",
            dependencies: [
                "EttinPretraining", "EttinTraining", "EttinInference", "EttinCorpus", "EttinModel", "EttinTokenizer",
                "EttinRecipes", "EttinFiles", "EttinJSON", "Torch", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EttinCorpusTests",
            dependencies: [
                "EttinCorpus", "EttinFiles", "EttinJSON", "EttinPrimitives", "EttinTokenizer", "TestSupport",
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx20
)
