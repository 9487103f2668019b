/* Options about prices that several commands have: one wording for each, in whichever table and order a command lists them. */
#ifndef CLI_COST_OPTIONS_H
#define CLI_COST_OPTIONS_H

#include "cli/cli.h"

#define COST_OPTION(name, argument, kind, member, max, help)                    \
    {                                                                           \
        name, 0, argument, kind, offsetof(cli_args, member), 0, max, NULL, help \
    }

/* Commands that search many clouds call them in the plural. */
#define COST_CLOUDS(name) \
    COST_OPTION(name, "C,...", OPTION_TEXTS, clouds, 0, "Only offers of these clouds: aws, azure, gcp, ...")
#define COST_REGIONS(name) \
    COST_OPTION(name, "R,...", OPTION_TEXTS, regions, 0, "Only offers in these regions: us-east-1, ...")
#define COST_SPOT COST_OPTION("spot", NULL, OPTION_FLAG, spot, 0, "Spot prices instead of those on demand.")
#define COST_PRICES                                       \
    COST_OPTION("prices", "FILE", OPTION_FILE, prices, 0, \
                "Offers and purchase prices of your own: a TOML file that goes before all others.")
#define COST_CURRENCY                                              \
    COST_OPTION("currency", "CODE=RATE", OPTION_TEXT, currency, 0, \
                "Shows amounts in another currency: EUR=0.92 for 0.92 EUR to the dollar. JSON and CSV stay in USD.")
#define COST_INTENSITY                                                          \
    COST_OPTION("carbon-intensity", "G", OPTION_REAL, carbon_intensity, 100000, \
                "Grams of CO2e that a kWh of your own electricity emits.")
#define COST_TODAY                                      \
    COST_OPTION("today", "DATE", OPTION_TEXT, today, 0, \
                "The day that ages of prices are counted from, as in 2026-11-21; the clock's by default.")

#endif
