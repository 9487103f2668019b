#!/usr/bin/env python3
"""Writes data/prices/*.csv and data/carbon/regions.csv from the tables in DATA/facts.

usage: make_prices.py DATA

Left out: offers without a GPU count, without any price, or in government clouds. Spot advice only for types that have an offer.
Carbon: one row per region, from the source that is preferred for its cloud (docs/prices.md).
"""
import csv, gzip, os, sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FACTS = os.path.join(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__), 'facts')


def rows(name):
    path = os.path.join(FACTS, name)
    with (gzip.open if path.endswith('.gz') else open)(path, 'rt') as f: return list(csv.DictReader(f))


def number(text):
    return '%.6g' % float(text) if text else ''


class Sources:
    """Long source texts stand once, above the table."""
    def __init__(self): self.names = {}
    def __call__(self, text): return self.names.setdefault(text, len(self.names) + 1)


def write(path, about, sources, head, lines):
    path = os.path.join(HERE, 'data', path)
    with open(path + '.new', 'w') as f:
        for line in about: f.write('# ' + line + '\n')
        for text, n in sources.names.items(): f.write('#source %d %s\n' % (n, text))
        f.write(','.join(head) + '\n')
        for line in lines: f.write(','.join(str(x) for x in line) + '\n')
    os.replace(path + '.new', path)
    print(len(lines), 'rows in', os.path.relpath(path, HERE))


def offers():
    source, out = Sources(), []
    for r in rows('cloud_offers.csv.gz'):
        if not r['gpu_count'] or not (r['on_demand_usd_h'] or r['spot_usd_h']) or 'gov' in r['region']: continue
        out.append((r['cloud'], r['region'], r['instance_type'], r['gpu'], number(r['gpu_count']), r['vcpus'], number(r['memory_gb']),
                    number(r['on_demand_usd_h']), number(r['spot_usd_h']), r['as_of_date'], source(r['source'])))
    write('prices/offers.csv', ['What GPUs cost by the hour, whole instances, USD. Made by tools/make_prices.py.'], source,
          ('cloud', 'region', 'instance', 'gpu', 'gpu_count', 'vcpus', 'memory_gb', 'on_demand', 'spot', 'as_of', 'source'), sorted(out))
    return {(r[0], r[1], r[2]) for r in out}


def spot_advice(known):
    source = Sources()
    out = [(r['region'], r['instance_type'], r['spot_savings_pct_over_on_demand'], r['interruption_range'], r['as_of_date'], source(r['source']))
           for r in rows('aws_spot_advisor.csv') if ('aws', r['region'], r['instance_type']) in known]
    write('prices/aws_spot.csv', ['How much AWS spot saves (per cent of on demand) and how often it is interrupted in a month.'], source,
          ('region', 'instance', 'saving', 'interruption', 'as_of', 'source'), sorted(out))


def hardware():
    source = Sources()
    out = [(r['key'], number(r['msrp_usd']), r['release_date'], source(r['source'])) for r in rows('gpus.csv') if r['msrp_usd']]
    write('prices/hardware.csv', ['List prices at release, USD, without tax. Street prices differ; give your own in prices.toml.'], source,
          ('gpu', 'price', 'as_of', 'source'), sorted(out))


# Regions that no source has a row for, by the country that their cloud says they are in (ISO 3166). Where that isn't sure: none.
COUNTRY = {
    'ITA': 'azure italynorth', 'ISR': 'azure israelcentral, lambda me-west-1', 'MEX': 'azure mexicocentral', 'POL': 'azure polandcentral',
    'QAT': 'azure qatarcentral', 'ESP': 'azure spaincentral, aws eu-south-2', 'IDN': 'azure indonesiacentral', 'MYS': 'azure malaysiawest',
    'JPN': 'lambda asia-northeast-1, lambda asia-northeast-2', 'IND': 'lambda asia-south-1', 'AUS': 'lambda australia-east-1',
    'DEU': 'lambda europe-central-1',
    'USA': ', '.join('lambda us-' + x for x in 'east-1 east-2 east-3 midwest-1 south-1 south-2 south-3 west-1 west-2 west-3'.split()),
}


def prefer(r):
    s = r['source']
    if r['cloud'] == 'gcp': order = ('GoogleCloudPlatform', 'codecarbon')
    else: order = ('cloud-carbon-footprint', 'codecarbon')
    for i, name in enumerate(order):
        if name in s: return i
    return len(order)


def carbon():
    source, best = Sources(), {}
    for r in rows('carbon.csv'):
        if r['kind'] == 'grid_zone' or not r['grid_gco2_per_kwh']: continue
        k = (r['cloud'], r['region'].lower()) if r['kind'] == 'cloud_region' else ('country', r['region'] or r['country_or_place'])
        if k not in best or prefer(r) < prefer(best[k]): best[k] = r
    for country, regions in COUNTRY.items():
        for cloud, region in (x.split() for x in regions.split(', ')):
            best.setdefault((cloud, region), dict(best['country', country], country_or_place='by country: ' + country))
    out = [(k[0], k[1], r['country_or_place'].replace(',', ''), number(r['grid_gco2_per_kwh']), number(r['pue']), r['year'], source(r['source']))
           for k, r in sorted(best.items())]
    write('carbon/regions.csv', ['Grams of CO2e a kilowatt-hour of the grid emits, and PUE where known.'], source,
          ('cloud', 'region', 'place', 'g_per_kwh', 'pue', 'year', 'source'), out)


known = offers()
spot_advice(known)
hardware()
carbon()
